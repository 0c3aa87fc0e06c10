import Testing

@testable import Holdfast

@Suite struct SamplerTests {
  /// Every sample once per epoch, in a different order each time.
  @Test(arguments: [1, 2, 3, 7, 64, 65, 1000, 1437, 4097]) func epochIsAPermutation(count: Int) {
    var orders: Set<[Int]> = []
    for seed in [1, 99] as [UInt64] {
      let sampler = Sampler(count: count, batchSize: 10, seed: seed)
      for epoch in 0..<3 as Range<UInt64> {
        sampler.seek(epoch: epoch)
        var order: [Int] = []
        while let batch = sampler.next() { order += batch }
        #expect(order.sorted() == Array(0..<count))
        orders.insert(order)
      }
    }
    if count >= 64 { #expect(orders.count == 6, "each epoch and seed has its own order") }
  }

  @Test(arguments: 0..<20) func everyPositionResumesIdentically(position: Int) throws {
    let whole = Sampler(count: 197, batchSize: 10, seed: 5)
    whole.seek(epoch: 4)
    for _ in 0..<position { _ = whole.next() }
    let resumed = Sampler(count: 197, batchSize: 10, seed: 5)
    resumed.seek(epoch: 4, position: UInt64(position))
    while let batch = whole.next() { #expect(batch == resumed.next()) }
    #expect(resumed.next() == nil)
  }

  @Test func lastBatchIsSmallerOrSkipped() {
    #expect(Sampler(count: 25, batchSize: 10, seed: 1).batchesPerEpoch == 3)
    #expect(Sampler(count: 25, batchSize: 10, seed: 1, dropsLast: true).batchesPerEpoch == 2)
  }

  @Test func changedDataIsRejected() {
    let saved = Sampler(count: 100, batchSize: 10, seed: 1)
    let words = (0..<5).map { saved.words[$0] }
    #expect(Sampler(count: 100, batchSize: 10, seed: 1).load(words) == nil)
    #expect(Sampler(count: 101, batchSize: 10, seed: 1).load(words)?.contains("100 samples, now 101") == true)
    #expect(Sampler(count: 100, batchSize: 20, seed: 1).load(words)?.contains("batch size was 10") == true)
    #expect(Sampler(count: 100, batchSize: 10, seed: 2).load(words)?.contains("seed was 1") == true)
    #expect(Sampler(count: 100, batchSize: 10, seed: 1).load([]) != nil)
  }

  /// First outputs of xoshiro256** from the state 1, 2, 3, 4, from its reference implementation.
  @Test func generatorMatchesXoshiroReference() {
    let source = RandomSource(seed: 0)
    for index in 0..<4 { source.words[index] = UInt64(index + 1) }
    let got = (0..<6).map { _ in source.next() }
    #expect(
      got == [
        11520, 0, 1_509_978_240, 1_215_971_899_390_074_240, 1_216_172_134_540_287_360,
        607_988_272_756_665_600,
      ])
  }

  @Test func savedGeneratorStateResumes() {
    let source = RandomSource(seed: 3)
    for _ in 0..<100 { _ = source.next() }
    let copy = RandomSource(seed: 9)
    for index in 0..<4 { copy.words[index] = source.words[index] }
    #expect((0..<50).map { _ in source.next() } == (0..<50).map { _ in copy.next() })
    #expect((0..<1000).allSatisfy { _ in (0..<1).contains(source.uniform()) })
  }
}
