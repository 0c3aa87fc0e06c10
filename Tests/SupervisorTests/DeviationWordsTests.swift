import JobStore
import Supervisor
import Testing

@Suite struct DeviationWordsTests {
  private func difference(_ items: ReplayAudit.Item...) -> ReplayAudit.Difference {
    ReplayAudit.Difference(step: 7, items: items)
  }

  /// Weights are recorded among the samplers, but do not belong to a loader.
  @Test func differingWeightsAreNotBlamedOnLoader() {
    let weights = ReplayAudit.Item(part: "sampler", name: "state")
    let loss = ReplayAudit.Item(part: "metrics", name: "loss", recorded: 1.5, replayed: 1.25)
    let both = difference(weights, loss)
    #expect(both.words == "trained state; metric loss is 1.25, was 1.5")
    #expect(both.likelyCause.hasPrefix("unregistered state"))
    let loader = difference(ReplayAudit.Item(part: "sampler", name: "train"), weights)
    #expect(loader.words == "loader train; trained state")
    #expect(loader.likelyCause.hasPrefix("a loader resumed at a different position"))
  }
}
