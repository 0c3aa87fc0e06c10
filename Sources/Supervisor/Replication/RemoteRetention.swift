import Storage

/// Which checkpoints at the remote are removed.
struct RemoteRetention {
  let jobID: String
  /// Of the newest ones of the whole state, and of those with only weights; at least 1.
  let keepLast: Int
  /// Listed, but found damaged or missing when they were loaded. Like damaged ones on the local disk they do not count,
  /// and are not removed.
  let unusable: Set<StorageKey>
  /// Found intact when they were stored last. What else is there may be damaged, so they stay whatever their step is.
  let newestStored: Set<StorageKey>

  /// - Returns: the checkpoints of the job that newer ones supersede, oldest first.
  func superseded(in listing: StorageListing) -> [StorageKey] {
    let own = listing.checkpointsByStep.filter {
      ($0.manifest?.jobID ?? jobID) == jobID && $0.fault == nil && !unusable.contains($0.key)
    }
    return [false, true].flatMap { weightsOnly in
      own.filter { $0.isWeightsOnly == weightsOnly }.dropLast(max(1, keepLast)).map(\.key)
    }.filter { !newestStored.contains($0) }
  }
}
