import Reporting
import Testing

/// The word of a command that becomes the arguments with which a program resumes.
@Suite struct ResumeArgumentTests {
  @Test(arguments: [
    ("{resume:--ckpt_path %}", ["--ckpt_path", "out/a b.ckpt"]),
    ("{resume:--ckpt=%}", ["--ckpt=out/a b.ckpt"]),
    ("{resume:--init_from=resume}", ["--init_from=resume"]), ("{resume:%}", ["out/a b.ckpt"]),
    ("{resume:--share 5%% -cpi %}", ["--share", "5%", "-cpi", "out/a b.ckpt"]),
  ])
  func expands(word: String, expected: [String]) {
    let command = ["train", word, "last"]
    #expect(ResumeArgument.expand(command, path: "out/a b.ckpt") == ["train"] + expected + ["last"])
    #expect(ResumeArgument.expand(command, path: nil) == ["train", "last"])
  }

  @Test(arguments: [
    "{resume:", "{resume:}", "{resume: }", "{resume:% %}", "--a={resume:%}", "{resum:%}", "{Resume:%}",
    "{resume}",
  ])
  func mistakes(word: String) {
    #expect(throws: ResumeArgument.Mistake.self) { try ResumeArgument(word) }
  }

  @Test(arguments: ["", "train.py", "{}", "{\"lr\": 1}", "{epoch:02d}", "resume:%", "{result}:{x}", "100%"])
  func otherWords(word: String) throws {
    #expect(try ResumeArgument(word) == nil)
    #expect(ResumeArgument.expand([word], path: "p") == [word])
  }

  @Test func pathIsPassed() {
    #expect(ResumeArgument.passesPath(["a", "{resume:--from %}"]))
    #expect(
      !ResumeArgument.passesPath(["a", "{resume:--resume 5%%}"]) && !ResumeArgument.passesPath(["a", "%"]))
  }
}
