import Reporting
import Testing

/// The names of checkpoints, as Lightning's `ModelCheckpoint` writes them.
@Suite struct NameTemplateTests {
  @Test(arguments: [
    ("sample-mnist-{epoch:02d}-{val_loss:.2f}", "sample-mnist-epoch=02-val_loss=0.32"),
    ("{epoch}-{step}", "epoch=2-step=1234567"), ("{step:09d}", "step=001234567"), ("plain", "plain"),
    ("{val_loss}", "val_loss=0.32145"), ("{accuracy:.0f}", "accuracy=1"), ("{accuracy}", "accuracy=1"),
    ("{val_loss:8.3f}", "val_loss=___0.321"), ("{val_loss:.2e}", "val_loss=3.21e-01"),
    ("{epoch:.1f}", "epoch=2.0"),
    ("a{none:.2f}b", "anone=nanb"), ("{val/loss:.1f}", "val_loss=0.5"),
    ("../{epoch}", "_./epoch=2".replacing("/", with: "_")),
    ("été {epoch}", "__t___epoch=2"), ("{inf:.2f}", "inf=inf"),
  ])
  func namesWithKeys(text: String, expected: String) throws {
    let metrics = ["val_loss": 0.32145, "val/loss": 0.5, "accuracy": 1, "inf": Double.infinity]
    #expect(try NameTemplate(text).name(epoch: 2, step: 1_234_567, metrics: metrics) == expected)
  }

  @Test func namesWithoutKeys() throws {
    let template = try NameTemplate("digits-{epoch:02d}-{val_loss:.2f}")
    #expect(
      template.name(epoch: 2, step: 9, metrics: ["val_loss": 0.1], insertsNames: false) == "digits-02-0.10")
    #expect(template.metrics == ["val_loss"])
  }

  @Test func longNamesAreCut() throws {
    let name = try NameTemplate("{step}").name(epoch: 0, step: 1, metrics: [:], longest: 3)
    #expect(name == "ste")
    #expect(
      try NameTemplate(String(repeating: "x", count: 500)).name(epoch: 0, step: 0, metrics: [:]).count == 160)
  }

  @Test(arguments: ["", "{", "a{b", "a}b", "{}", "{:d}", "{a:x}", "{a:.f}", "{a:.2d}", "{a:100d}", "{a{b}"])
  func mistakes(text: String) {
    #expect(throws: NameTemplate.Mistake.self) { try NameTemplate(text) }
  }
}
