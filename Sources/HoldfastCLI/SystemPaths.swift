import POSIX
import SystemPackage

/// Paths of the system units and of their jobs.
struct SystemPaths {
  /// NAME.toml is the configuration of holdfast@NAME.service.
  var configuration = FilePath("/etc/holdfast")
  /// Created by systemd: StateDirectory=holdfast/NAME.
  var state = FilePath("/var/lib/holdfast")
  /// Created by systemd: RuntimeDirectory=holdfast/NAME.
  var runtime = FilePath("/run/holdfast")
  /// Where systemd finds units; systemd.unit(5).
  var units = [
    "/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
  ]
  .map { FilePath($0) }
  /// Exists if the machine was booted with systemd; sd_booted(3).
  var booted = FilePath("/run/systemd/system")

  /// Whether systemd can start the units of jobs.
  var hasUnits: Bool {
    FileSystem.exists(booted) && units.contains { FileSystem.exists($0.appending("holdfast@.service")) }
  }
}
