import Supervision

/// Reads and writes `[[checkpoint.policy]]` tables, with the keys of `Setting.policySettings`.
enum PolicyTables {
  static func read(_ node: Node, _ base: String) throws(Mistakes) -> [CheckpointPolicy] {
    guard case .array(let nodes) = node else {
      throw Mistakes("must be written as [[checkpoint.policy]], with its keys below it")
    }
    var policies: [CheckpointPolicy] = []
    var mistakes: [Mistake] = []
    for (index, node) in nodes.enumerated() {
      let part = Locator.Component.index(index)
      guard case .table(let entries) = node else {
        throw Mistakes("must be written as [[checkpoint.policy]], with its keys below it")
      }
      do throws(Mistakes) {
        policies.append(try Self.policy(entries, base))
      } catch {
        mistakes += error.all.map {
          Mistake($0.description, part: [part] + $0.part, isAboutName: $0.isAboutName)
        }
      }
    }
    if !mistakes.isEmpty { throw Mistakes(mistakes) }
    return policies
  }

  static func node(_ policies: [CheckpointPolicy]) -> Node {
    .array(policies.map { .table(entries($0)) })
  }

  private static func policy(_ entries: [String: Node], _ base: String) throws(Mistakes) -> CheckpointPolicy {
    var settings = JobSettings()
    settings.policy.checkpoint = CheckpointPolicy()
    var mistakes: [Mistake] = []
    for (key, node) in entries.sorted(by: { $0.key < $1.key }) {
      guard let setting = Setting.policySettings.first(where: { $0.key == key }) else {
        let known = Setting.policySettings.map(\.key)
        let guess = Suggestions.nearest(to: key, among: known).map { "did you mean '\($0)'?" }
        mistakes.append(
          Mistake(
            "unknown key '\(key)'; \(guess ?? "known keys: \(known.joined(separator: ", "))")",
            part: [.key(key)], isAboutName: true))
        continue
      }
      do throws(Mistakes) {
        try setting.read(node, base, &settings)
      } catch {
        mistakes += error.all.map {
          Mistake("'\(key)' \($0.description)", part: [.key(key)] + $0.part, isAboutName: $0.isAboutName)
        }
      }
    }
    let policy = settings.policy.checkpoint
    if mistakes.isEmpty, let mistake = policy.mistake { mistakes.append(Mistake(mistake)) }
    if mistakes.isEmpty, policy.reasons.isEmpty {
      mistakes.append(Mistake("a policy needs a time to save: every-steps, every-epochs or interval"))
    }
    if !mistakes.isEmpty { throw Mistakes(mistakes) }
    return policy
  }

  private static func entries(_ policy: CheckpointPolicy) -> [String: Node] {
    var (settings, empty) = (JobSettings(), JobSettings())
    settings.policy.checkpoint = policy
    empty.policy.checkpoint = CheckpointPolicy()
    var entries: [String: Node] = [:]
    for setting in Setting.policySettings {
      let node = setting.value(settings)
      if node != setting.value(empty) { entries[setting.key] = node }
    }
    return entries
  }
}
