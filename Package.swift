// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: strict)
}

let package = Package(
  name: "holdfast",
  products: [
    .library(name: "Holdfast", targets: ["Holdfast"]),
    .library(name: "HoldfastStorage", targets: ["Storage"]),
    .executable(name: "holdfast", targets: ["HoldfastCLI"]),
    .executable(name: "digits-trainer", targets: ["DigitsTrainer"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
  ],
  targets: [
    // System libraries and C code.
    .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
    .systemLibrary(name: "CGcrypt", pkgConfig: "libgcrypt", providers: [.apt(["libgcrypt20-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
    .target(name: "CSpawn"),
    .target(name: "CTrainerProtocol"),
    .target(name: "CFaultGuard"),
    .target(name: "CGuardedLMDB", dependencies: ["CLMDB", "CFaultGuard"]),

    // From the bottom up: a module depends only on modules above it in this list.
    module("Vocabulary"),
    module("Reporting", [system]),
    module("Supervision", ["Vocabulary"]),
    module("POSIX", ["Reporting", "CSpawn", "CFaultGuard", system]),
    module("Preemption", ["Reporting", "Supervision", "POSIX", system]),
    module("Metrics", ["Reporting", "POSIX", system]),
    module("LMDB", ["CLMDB", "CGuardedLMDB"]),
    module("Systemd", ["CSystemd"]),
    module("TrainerProtocol", ["Vocabulary", "Reporting", "CTrainerProtocol", "POSIX", system]),
    module("Checkpoints", ["Reporting", "CGcrypt", "CXXHash", "TrainerProtocol", "POSIX", system]),
    module("Storage", ["Reporting", "Checkpoints", "POSIX", system]),
    module("JobStore", ["Vocabulary", "Reporting", "LMDB", "TrainerProtocol", "POSIX", system]),
    module(
      "JobFile",
      [
        "Vocabulary", "Reporting",
        "Supervision", "Preemption", "Metrics", "POSIX", system,
        .product(name: "TOMLKit", package: "TOMLKit"),
      ]),
    module("Holdfast", ["Vocabulary", "Reporting", "TrainerProtocol", "Checkpoints", "POSIX", system]),
    module(
      "Supervisor",
      [
        "Vocabulary", "Reporting",
        "Supervision", "Preemption", "Metrics", "POSIX", "Systemd", "TrainerProtocol", "Checkpoints",
        "Storage", "JobStore", system,
      ]),
    .executableTarget(
      name: "HoldfastCLI",
      dependencies: [
        "Vocabulary", "Reporting", "Supervisor", "Supervision", "JobFile", "Preemption", "JobStore",
        "Checkpoints", "Storage", "TrainerProtocol",
        "POSIX", system, arguments,
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "DigitsTrainer", dependencies: ["Holdfast", "Checkpoints", arguments],
      swiftSettings: strict),

    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
    tests("VocabularyTests", ["Vocabulary"]),
    tests("ReportingTests", ["Reporting", system]),
    tests("SupervisionTests", ["Vocabulary", "Supervision"]),
    tests("POSIXTests", ["Reporting", "POSIX", system]),
    tests("FaultGuardTests", ["CFaultGuard", "FaultyMemory"]),
    tests("LMDBTests", ["LMDB"]),
    tests("SystemdTests", ["Systemd", "NotifyListener"]),
    tests(
      "TrainerProtocolTests",
      ["Vocabulary", "Reporting", "CTrainerProtocol", "TrainerProtocol", "POSIX", system]),
    tests("CheckpointsTests", ["Reporting", "Checkpoints", "TrainerProtocol", "POSIX", system]),
    tests(
      "StorageTests", ["Reporting", "Storage", "Checkpoints", "TrainerProtocol", "S3Server", "POSIX", system]),
    tests(
      "JobStoreTests",
      [
        "Vocabulary", "Reporting", "KilledWriter", "StoreFixtures", "JobStore", "LMDB", "TrainerProtocol",
        "POSIX", system,
      ]),
    tests(
      "HoldfastTests",
      ["Vocabulary", "Reporting", "Holdfast", "TrainerProtocol", "Checkpoints", "POSIX", system]),
    tests("PreemptionTests", ["Reporting", "Preemption", "FakeMetadata", "Supervision", "POSIX", system]),
    tests("MetricsTests", ["Reporting", "Metrics", "POSIX", system]),
    tests(
      "SupervisorTests",
      [
        "Vocabulary", "Reporting", "Supervisor", "Supervision", "JobStore", "Systemd", "TrainerProtocol",
        "POSIX", system,
      ]),
    tests("JobFileTests", ["Reporting", "JobFile", "Preemption", "Metrics", "Supervision", system]),
    tests(
      "CommandLineTests",
      [
        "Vocabulary", "Reporting", "HoldfastCLI", arguments, "JobFile", "Supervisor", "StoreFixtures",
        "JobStore", "POSIX", system,
      ]),
    tests(
      "IntegrationTests", ["FaultyTrainer", "FakeMetadata", "NotifyListener", "StoreBuilder", "S3Server"]),
    .target(name: "NotifyListener", path: "Tests/NotifyListener", swiftSettings: strict),
    .target(
      name: "S3Server", dependencies: ["POSIX", system], path: "Tests/S3Server", exclude: ["s3_server.py"],
      swiftSettings: strict),
    .target(
      name: "FakeMetadata", dependencies: ["POSIX"], path: "Tests/FakeMetadata", swiftSettings: strict),
    .executableTarget(
      name: "FaultyTrainer", dependencies: ["Reporting", "Holdfast", "POSIX", system],
      path: "Tests/FaultyTrainer",
      swiftSettings: strict),

    .target(
      name: "StoreFixtures",
      dependencies: [
        "Vocabulary", "Reporting", "JobStore", "LMDB", "Supervision", "TrainerProtocol", "POSIX", system,
      ],
      path: "Tests/StoreFixtures", swiftSettings: strict),
    .executableTarget(
      name: "StoreBuilder",
      dependencies: [
        "Vocabulary", "Reporting", "StoreFixtures", "JobStore", "TrainerProtocol", "POSIX", system,
      ],
      path: "Tests/StoreBuilder", swiftSettings: strict),
    .executableTarget(
      name: "KilledWriter", dependencies: ["JobStore", "POSIX", system], path: "Tests/KilledWriter",
      swiftSettings: strict),

    .executableTarget(name: "FaultyMemory", dependencies: ["CFaultGuard"], path: "Tests/FaultyMemory"),

    // For scripts/bench.
    .executableTarget(name: "FirstInstruction", path: "Tests/FirstInstruction"),
    .executableTarget(
      name: "Benchmarks",
      dependencies: [
        "Reporting", "Holdfast", "JobStore", "LMDB", "Checkpoints", "Storage", "S3Server", "TrainerProtocol",
        "POSIX", "CSpawn", system,
      ],
      path: "Tests/Benchmarks", swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
