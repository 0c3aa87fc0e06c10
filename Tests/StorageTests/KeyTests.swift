import Storage
import Testing

@Suite struct KeyTests {
  @Test func keysArePathsOfValidNames() {
    for text in ["step-5", "a/b", "attempt-1-0a/step-5", "sample-epoch=02-val_loss=0.32"] {
      #expect(StorageKey(text)?.text == text)
    }
    let long = Array(repeating: String(repeating: "a", count: 199), count: 4).joined(separator: "/")
    for text in ["", "/", "a/", "/a", "a//b", "../a", "a/.b", ".", "a b", "a\n", "ä", "a:b", "-\0", long] {
      #expect(StorageKey(text) == nil, "\(text)")
    }
  }

  @Test func keyOfACheckpointNamesAttemptAndMark() {
    let made = StorageKey(attempt: 4, mark: 0x1f3a, name: "step-5")
    #expect(made?.text == "attempt-4-00001f3a/step-5" && made?.name == "step-5")
    #expect(StorageKey(attempt: 4, mark: 1, name: "../x") == nil)
  }

  @Test func stepIsReadFromTheName() {
    let steps = ["a/step-5", "step-5-abcdef01", "other", "step-x"].map {
      StorageKey($0).flatMap { StoredCheckpoint(key: $0).step }
    }
    #expect(steps == [5, 5, nil, nil])
  }
}
