import Glibc
import NotifyListener
import Systemd
import Testing

/// Serialized, as the tests change the environment of the process.
@Suite(.serialized) struct NotificationTests {
  @Test(arguments: ["/tmp/holdfast-notify-\(getpid())", "@holdfast-notify-\(getpid())"])
  func messagesArrive(address: String) throws {
    let manager = DatagramListener(address)
    setenv("NOTIFY_SOCKET", address, 1)
    defer { unsetenv("NOTIFY_SOCKET") }
    #expect(NotificationSocket.address == address)
    #expect(try NotificationSocket.send([.ready, .status("step 1,620 · loss 0.123")]))
    #expect(manager.receiveText() == "READY=1\nSTATUS=step 1,620 · loss 0.123")
    #expect(manager.receiveText() == nil)
  }

  @Test func nothingIsSentWithoutSocketAddress() throws {
    unsetenv("NOTIFY_SOCKET")
    #expect(try NotificationSocket.send([.ready]) == false)
  }

  @Test func missingSocketIsAnError() {
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1)
    defer { unsetenv("NOTIFY_SOCKET") }
    #expect(throws: SystemdError("sd_notify", errno: ENOENT, subject: "/nonexistent/notify")) {
      try NotificationSocket.send([.ready])
    }
  }

  @Test func textHasSystemdFormat() {
    #expect(Notification.extendTimeout(.milliseconds(2500)).text == "EXTEND_TIMEOUT_USEC=2500000")
    #expect(Notification.extendTimeout(.seconds(-3)).text == "EXTEND_TIMEOUT_USEC=1")
    #expect(
      Notification.extendTimeout(.seconds(Int64.max)).text == "EXTEND_TIMEOUT_USEC=31536000000000")
    #expect(Notification.status("two\nlines\u{7}").text == "STATUS=two lines ")
    #expect(
      Notification.reloading(monotonicNanoseconds: 5_000_999).text == "RELOADING=1\nMONOTONIC_USEC=5000")
    #expect(Notification.errno(ENOSPC).text == "ERRNO=28")
  }

  @Test func watchdogAppliesToOneProcess() throws {
    defer {
      unsetenv("WATCHDOG_USEC")
      unsetenv("WATCHDOG_PID")
    }
    #expect(try NotificationSocket.watchdogInterval() == nil)
    setenv("WATCHDOG_USEC", "30000000", 1)
    #expect(try NotificationSocket.watchdogInterval() == .seconds(30))
    setenv("WATCHDOG_PID", "\(getpid())", 1)
    #expect(try NotificationSocket.watchdogInterval() == .seconds(30))
    setenv("WATCHDOG_PID", "1", 1)
    #expect(try NotificationSocket.watchdogInterval() == nil)
    unsetenv("WATCHDOG_PID")
    setenv("WATCHDOG_USEC", "soon", 1)
    #expect(throws: SystemdError.self) { try NotificationSocket.watchdogInterval() }
  }

  @Test func journalStreamIsIdentifiedByDeviceAndInode() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer {
      unsetenv("JOURNAL_STREAM")
      for end in ends { close(end) }
    }
    var status = stat()
    try #require(fstat(ends[1], &status) == 0)
    #expect(!Journal.isStream(ends[1]))
    setenv("JOURNAL_STREAM", "\(status.st_dev):\(status.st_ino)", 1)
    #expect(Journal.isStream(ends[1]))
    // Another stream, while the variable is still set.
    #expect(!Journal.isStream(STDERR_FILENO))
    setenv("JOURNAL_STREAM", "\(status.st_dev):\(status.st_ino):1", 1)
    #expect(!Journal.isStream(ends[1]))
  }
}
