import JobFile
import JobStore
import Reporting
import Storage
import Supervisor
import SystemPackage

/// The remote storage of a command: `--remote`, or that of the job's last run.
enum RemoteOption {
  static func open(_ argument: Resolution.Argument?, job: JobRecord) throws -> Remote {
    let typed = argument.flatMap { Resolution(file: nil, arguments: [$0]).settings.remote }
    guard let place = typed ?? job.remote else {
      throw Failure(
        .usage, "job '\(job.job)' has no remote storage",
        hints: [
          "name one: --remote s3:bucket/jobs", "holdfast run --remote s3:bucket/jobs …  replicate it always",
        ])
    }
    if let fault = RemoteSettings.fault(ofPlace: place) {
      throw Failure(
        .usage, "invalid remote storage: \(fault)",
        hints: ["holdfast checkpoints push --remote s3:bucket/jobs …"])
    }
    do throws(StorageError) {
      return try Remote(RemoteSettings(place: place), job: job.job, environment: Locations.entries())
    } catch {
      throw Failure(storage: error, "cannot use the remote storage", nil)
    }
  }
}

extension Failure {
  /// Of the remote storage. Its text contains no credentials.
  init(storage error: StorageError, _ what: String, _ reader: JobReader?) {
    let status: ExitStatus =
      switch error.code {
      case .missing: .missing
      case .damaged: .damaged
      case .unsupported: .usage
      case .unreachable, .denied, .noRoom, .cancelled, .io, .program: .io
      }
    self.init(
      status, what, path: error.path?.string, why: error.reason,
      hints: error.hint.map { [$0] } ?? ["holdfast status\(reader.map { " \($0.argument)" } ?? "")"])
  }
}
