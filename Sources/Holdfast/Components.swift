import Checkpoints
import POSIX
import Reporting
import SystemPackage

/// The registered objects, and the hooks that see all their states.
final class Components {
  typealias States = [String: StateValue]

  private struct Component {
    let name: String
    let object: any Stateful
    let isStrict: Bool
  }

  private var components: [Component] = []
  /// Of components, in the order of registration; then those of the run.
  private var hooked: [any CheckpointHooks] = []
  var saveHooks: [(inout States) -> Void] = []
  var loadHooks: [(inout States) throws(CheckpointError) -> Void] = []
  /// What the last load has left out.
  private(set) var notLoaded: [NotLoaded] = []

  /// - Precondition: `name` is not registered.
  func register(_ name: String, _ object: any Stateful, strict: Bool) {
    precondition(!components.contains { $0.name == name }, "component '\(name)' is already registered")
    components.append(Component(name: name, object: object, isStrict: strict))
    if let object = object as? any CheckpointHooks { hooked.append(object) }
  }

  /// In the order of registration; then, by name, what hooks have added.
  func states() -> [(name: String, state: StateValue)] {
    let own = components.map { (name: $0.name, state: $0.object.state) }
    if hooked.isEmpty, saveHooks.isEmpty { return own }
    var states = Dictionary(uniqueKeysWithValues: own.map { ($0.name, $0.state) })
    for object in hooked { object.onSaveCheckpoint(&states) }
    for hook in saveHooks { hook(&states) }
    var ordered: [(name: String, state: StateValue)] = []
    for component in components {
      if let state = states.removeValue(forKey: component.name) { ordered.append((component.name, state)) }
    }
    return ordered + states.sorted { $0.key < $1.key }.map { (name: $0.key, state: $0.value) }
  }

  /// - Parameters:
  ///   - strict: whether the checkpoint must contain exactly the registered components.
  ///   - path: for errors.
  func load(_ saved: States, strict: Bool, _ path: FilePath) throws(HoldfastError) {
    notLoaded = []
    var states = saved
    do throws(CheckpointError) {
      for object in hooked { try object.onLoadCheckpoint(&states) }
      for hook in loadHooks { try hook(&states) }
    } catch {
      throw HoldfastError(
        .cannotRestore, error.statement, path: path, why: error.why,
        hint: error.hint ?? "the error is from the program's hook for loading")
    }
    let names = Set(components.map(\.name))
    let unknown = states.keys.filter { !names.contains($0) }.sorted()
    // Hooks add entries, and do not have to remove them.
    if !unknown.isEmpty, hooked.isEmpty, loadHooks.isEmpty {
      guard !strict else {
        throw HoldfastError(
          .cannotRestore,
          "the checkpoint has state of \(unknown.joined(separator: ", ")), which is not registered",
          path: path, hint: "register the same components as the run that saved it")
      }
      notLoaded += unknown.map { NotLoaded(path: $0, reason: .unexpected) }
    }
    for component in components { try load(component, states[component.name], strict: strict, path) }
    report()
  }

  private func load(
    _ component: Component, _ state: StateValue?, strict: Bool, _ path: FilePath
  ) throws(HoldfastError) {
    let name = component.name
    guard var state else {
      guard !strict || !component.isStrict else {
        throw HoldfastError(
          .cannotRestore, "the checkpoint has no state of '\(name)'", path: path,
          hint: "register the same components as the run that saved it, or this one with strict: false")
      }
      notLoaded.append(NotLoaded(path: name, reason: .notSaved))
      return
    }
    if !component.isStrict {
      let fitting = PartialState(saved: state, own: component.object.state, path: ImageWriter.escape(name))
      state = fitting.value
      notLoaded += fitting.notLoaded
    }
    do {
      try component.object.load(state)
    } catch {
      throw HoldfastError(
        .cannotRestore, error.within(name).statement, path: path, why: error.why,
        hint: component.isStrict
          ? "if the object has changed, register it with strict: false to load what fits"
          : "convert the saved state in onLoadCheckpoint")
    }
  }

  private static let mostReported = 10

  /// A partial load must not go unnoticed: the run continues with other numbers.
  private func report() {
    if notLoaded.isEmpty { return }
    let further = notLoaded.count - Self.mostReported
    let list =
      notLoaded.prefix(Self.mostReported).map { "\($0)" } + (further > 0 ? ["and \(further) more"] : [])
    StandardStreams.warn("holdfast: not loaded from the checkpoint: \(list.joined(separator: "; "))")
  }
}
