import Reporting
import Testing

@testable import HoldfastCLI

/// Which unit a process belongs to, and the commands that start it.
@Suite struct JobUnitTests {
  @Test(arguments: [
    ("/system.slice/system-holdfast.slice/holdfast@resnet50.service", "holdfast@resnet50.service", false),
    ("/system.slice/train.service/supervisor", "train.service", false),
    (
      "/user.slice/user-7.slice/user@7.service/app.slice/holdfast@a.service/supervisor", "holdfast@a.service",
      true
    ),
  ]) func unitOfACgroup(path: String, name: String, isUser: Bool) throws {
    let unit = try #require(JobUnit(cgroup: path))
    #expect(unit.name == name && unit.isUser == isUser)
  }

  @Test(arguments: [
    "/", "", "/user.slice/user-7.slice/session-3.scope", "/user.slice/user-7.slice/user@7.service",
    "/user.slice/user-7.slice/user@7.service/app.slice/vte-spawn-1.scope", "/docker/0123",
  ]) func sessionsAreNoUnits(path: String) {
    #expect(JobUnit(cgroup: path) == nil)
  }

  @Test func commandsNameTheServiceManager() {
    let system = JobUnit.packaged("a", isUser: false)
    #expect(
      system.startAgain.text
        == "systemctl reset-failed holdfast@a.service; systemctl start holdfast@a.service")
    #expect(JobUnit.packaged("a", isUser: true).start.text == "systemctl --user start holdfast@a.service")
  }
}
