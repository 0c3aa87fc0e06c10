import POSIX
import Reporting
import Testing

@testable import Storage

/// Text of remotes, and what is removed from messages.
@Suite struct RemoteTests {
  @Test func remotesAreParsed() throws {
    for (text, argument) in [
      ("s3:bucket/jobs", "s3:bucket/jobs/job"), ("s3:", "s3:job"), ("/mnt/nfs", "/mnt/nfs/job"),
      ("relative/path", "relative/path/job"), ("my remote-1.x:a b/", "my remote-1.x:a b/job"),
      ("./a:b", "./a:b/job"),
    ] {
      let remote = try RcloneRemote(text).appending("job")
      #expect(remote.argument == argument && remote.description == argument && remote.environment == [])
      #expect(!remote.hasParameters)
    }
    let named = try RcloneRemote("s3,no_check_bucket,endpoint='http://a:b@c':x")
    #expect(named.argument == "s3:x" && named.description == "s3,…:x" && named.hasParameters)
    #expect(
      named.environment == [
        "RCLONE_CONFIG_S3_ENDPOINT=http://a:b@c", "RCLONE_CONFIG_S3_NO_CHECK_BUCKET=true",
      ])
    let unnamed = try RcloneRemote(":sftp,host=h,pass=\"a\"\"b,c\":dir").appending("job")
    #expect(unnamed.argument == "holdfast_remote:dir/job" && unnamed.description == ":sftp,…:dir/job")
    #expect(
      unnamed.environment == [
        "RCLONE_CONFIG_HOLDFAST_REMOTE_HOST=h", "RCLONE_CONFIG_HOLDFAST_REMOTE_PASS=a\"b,c",
        "RCLONE_CONFIG_HOLDFAST_REMOTE_TYPE=sftp",
      ])
    #expect(try RcloneRemote(":s3:bucket").environment == ["RCLONE_CONFIG_HOLDFAST_REMOTE_TYPE=s3"])
  }

  @Test func invalidRemotesAreRejectedWithoutQuotingThem() {
    for text in [
      "", "s3://sesame@bucket", "https://joe:sesame@host/x", ":s3,key=sesame", ":s3,key='sesame:b", ":s3",
      ":",
      "-rf", "--config=sesame:x", ":s3,a/b=sesame:x", "s3,=sesame:x", "a$b:sesame",
    ] {
      let error = #expect(throws: StorageError.self, "\(text)") { try RcloneRemote(text) }
      #expect(error?.code == .unsupported && !String(describing: error).contains("sesame"), "\(text)")
    }
  }

  @Test func credentialsAreRemovedFromMessages() {
    let redaction = Redaction(
      environment: [
        "AWS_SECRET_ACCESS_KEY=abcdef", "RCLONE_CONFIG_S3_PASS=xyzzy", "HOME=/root", "X_KEY=ab",
        "K_KEY=/a+b/", "KEY_FILE=/etc/passwd",
      ],
      secrets: ["abcdefgh"])
    for (text, clean) in [
      ("secret abcdefgh, abcdef and xyzzy in /root", "secret …, … and … in /root"),
      ("/a+b/ in /etc/passwd", "… in /etc/passwd"),
      (
        "Put \"http://joe:pw@host:1/b/k?X-Amz-Credential=AK&X-Amz-Signature=1\": refused",
        "Put \"http://…@host:1/b/k?…\": refused"
      ),
      ("at https://host/path: no a@b", "at https://host/path: no a@b"),
      ("secret_access_key=1234 token: 5678 x", "secret_access_key=… token: … x"),
      ("Authorization: Bearer 1234 rest", "Authorization: Bearer … rest"),
      ("InvalidAccessKeyId: The key", "InvalidAccessKeyId: The key"), ("plain", "plain"), ("", ""),
    ] {
      #expect(redaction.clean(text) == clean)
    }
  }

  @Test func failuresAreClassified() {
    func failure(_ log: String, _ code: Int32) -> StorageErrorCode {
      RcloneFailure(Array(log.utf8), .exited(code)).code
    }
    let refused =
      #"{"level":"error","msg":"error listing: RequestError: send request failed\ncaused by: dial tcp: connection refused"}"#
    #expect(failure(refused, 1) == .unreachable)
    #expect(failure("2026/11/27 13:29:11 Failed to cat: AccessDenied: no\n\tstatus code: 403", 1) == .denied)
    #expect(failure("2026/11/27 13:29:11 Failed to lsjson: directory not found", 3) == .missing)
    #expect(failure("2026/11/27 13:29:11 Failed to copy: write: no space left on device", 1) == .noRoom)
    #expect(
      failure("2026/11/27 13:29:11 Failed: preallocate: file too big for remaining disk space", 1) == .noRoom)
    #expect(
      failure("2026/11/27 13:29:11 Failed to create: didn't find section in config file", 1) == .unsupported)
    #expect(failure("2026/11/27 13:29:11 Failed to rcat: something", 1) == .io)
    #expect(failure("", 1) == .program && failure("", 5) == .unreachable)
    // Notices are not reasons.
    #expect(failure(#"{"level":"warning","msg":"permission denied"}"#, 5) == .unreachable)
    let error = RcloneFailure(
      Array("2026/11/27 13:29:11 Failed to cat: a\n\tb: token: zzz".utf8), .exited(1)
    ).error("cannot read", try! RcloneRemote("s3:x"), Redaction(environment: []))
    #expect(error.description == "cannot read: s3:x: a b: token: …")
  }

  @Test func filesAreSplitAndJoined() {
    for (bytes, part, count) in [(0, 10, 1), (10, 10, 1), (11, 10, 2), (100, 10, 10), (95, 10, 10)] {
      let pieces = Piece.pieces(of: "a.b", bytes: bytes, partBytes: part)
      #expect(pieces.count == count && StoredFiles.size(pieces) == bytes)
      let objects = Dictionary(uniqueKeysWithValues: pieces.map { ($0.object, $0.bytes) })
      #expect(StoredFiles(objects).files == ["a.b": pieces])
    }
    #expect(Piece.pieces(of: "s", bytes: 11, partBytes: 10)[1].object == "s.part-00002-of-00002")
    for name in [
      "s", "s.part-00002-of-00001", "s.part-00000-of-00002", "s.part-1-of-2", "model-00001-of-00002.bin",
    ] {
      #expect(Piece.Part(name) == nil)
    }
    // A part is missing; parts of two sizes.
    #expect(StoredFiles(["s.part-00001-of-00002": 5]).files == [:])
    let both = [
      "s.part-00001-of-00002": 9, "s.part-00002-of-00002": 9, "s.part-00001-of-00003": 5,
      "s.part-00002-of-00003": 5,
      "s.part-00003-of-00003": 1,
    ]
    #expect(StoredFiles(both, expected: ["s": 11]).files["s"]?.count == 3)
    #expect(StoredFiles(both, expected: ["s": 18]).files["s"]?.count == 2)
  }
}
