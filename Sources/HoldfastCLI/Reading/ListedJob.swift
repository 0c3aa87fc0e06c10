import JobStore
import POSIX
import Reporting
import Supervision
import Supervisor
import SystemPackage
import Vocabulary

/// A job in `list`: what its store says, or why that cannot be read.
struct ListedJob {
  let place: KnownJobs.Place
  /// nil: it cannot be read, or was not started yet.
  private(set) var status: JobStatus?
  private(set) var failure: Failure?

  init(_ place: KnownJobs.Place) {
    self.place = place
    guard place.exists else { return }
    do {
      status = try JobStatus(JobReader.open(nil, stateDirectory: place.state.string))
    } catch {
      failure = Failure(error)
    }
  }

  var name: String { status?.name ?? place.name }

  /// The unit that runs it, else the one that its configuration file belongs to.
  var unit: JobUnit? {
    guard let status, status.isSupervised, let pid = status.live?.pid else { return place.unit }
    return JobUnit.of(supervisor: pid) ?? place.unit
  }

  var cells: [String] {
    let owner = unit?.name ?? place.state.string
    return [
      name, state, step, status?.attempts.newest.map { "\($0.attempt)" } ?? "-", age,
      failure.map { "\(owner): \($0.why ?? $0.what)" } ?? owner,
    ]
  }

  private var state: String {
    if failure != nil { return "unreadable" }
    guard let status else { return "not started" }
    let word = status.state.rawValue.split(separator: "_").joined(separator: " ")
    return status.degraded.isEmpty ? word : "\(word), degraded"
  }

  private var step: String {
    guard let status, let step = status.shownStep else { return "-" }
    guard let total = status.job.totalSteps, total > 0, status.state != .finished else {
      return Words.number(step)
    }
    return "\(Words.number(step)) of \(Words.number(total)) (\(Words.percent(Double(step) / Double(total))))"
  }

  private var age: String { status?.pace.age.map { "\(Words.duration(seconds: $0)) ago" } ?? "-" }

  var json: JSONValue {
    .object([
      "job": .string(name),
      "state": failure == nil ? .string((status?.state ?? .new).rawValue) : .null,
      "step": .optional(status?.shownStep), "total_steps": .optional(status?.job.totalSteps),
      "attempt": .optional(status?.attempts.newest?.attempt),
      "supervised": .bool(status?.isSupervised ?? false),
      "last_step_at": .optional(status?.newest.map { Timestamp.text($0.timeNs) }),
      "last_step_age_seconds": .optional(status?.pace.age),
      "steps_per_second": .optional(status?.stepsPerSecond), "eta_seconds": .optional(status?.secondsLeft),
      "stalled": .bool(status?.isStalled ?? false),
      "degraded": .array((status?.degraded ?? []).map(JSONValue.string)),
      "unit": .optional(unit?.name), "unit_of_user": unit.map { .bool($0.isUser) } ?? .null,
      "state_directory": .string(place.state.string), "error": .optional(failure?.what),
    ])
  }
}
