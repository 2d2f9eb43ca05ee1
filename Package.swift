// swift-tools-version: 6.2
// Targets stand in the order in which a write travels through the house (Docs/Architecture.md).
import PackageDescription

/// What every Swift target is compiled with: Swift 6 mode, strict memory safety, no warnings.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .define("INVARIANT_CHECKS", .when(traits: ["InvariantChecks"])),
    .define("PLANTED_FAULTS", .when(traits: ["PlantedFaults"])),
]

/// Returning a span needs this experimental feature; TenonCore alone uses it.
let lifetimes: [SwiftSetting] = [.enableExperimentalFeature("Lifetimes")]

let package = Package(
    name: "tenon",
    products: [
        .library(name: "TenonClient", targets: ["TenonClient"]),
        .executable(name: "tenon", targets: ["tenon"]),
        .executable(name: "tenon-sim", targets: ["tenon-sim"]),
    ],
    traits: [
        .trait(
            name: "InvariantChecks",
            description:
                "Check the dear invariants on the exit of every mutation (tests, simulation)."),
        .trait(
            name: "PlantedFaults",
            description: "Let tenon-sim plant faults, to show that its checks see them.",
            enabledTraits: ["InvariantChecks"]),
    ],
    dependencies: [
        // The edge's (Docs/Decisions/0001). The engine takes none of them.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // The engine: the toolchain and liblz4 only.
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .target(name: "CTenon"),
        .target(
            name: "TenonCore", dependencies: ["CLZ4", "CTenon"], swiftSettings: strict + lifetimes),
        .target(name: "TenonRaft", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonLog", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonStore", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(
            name: "TenonPlacement", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonWire", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonKV", dependencies: ["TenonCore", "TenonStore"], swiftSettings: strict),
        .target(
            name: "TenonNode",
            dependencies: [
                "TenonCore", "TenonRaft", "TenonLog", "TenonStore", "TenonPlacement", "TenonWire",
                "TenonKV",
            ], swiftSettings: strict),
        .target(name: "TenonChecker", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(
            name: "TenonSimulator",
            dependencies: [
                "TenonCore", "TenonRaft", "TenonLog", "TenonStore", "TenonWire", "TenonKV",
                "TenonNode", "TenonChecker",
            ], swiftSettings: strict),
        // The edge: where sockets, threads and real files are.
        .target(
            name: "TenonServer",
            dependencies: [
                "TenonCore", "TenonLog", "TenonStore", "TenonWire", "TenonNode", "CTenon",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
            ], swiftSettings: strict),
        .target(
            name: "TenonClient",
            dependencies: [
                "TenonCore", "TenonWire",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "tenon",
            dependencies: [
                "TenonServer", "TenonClient", "TenonChecker", "TenonPlacement", "TenonCore",
                "TenonWire", "TenonNode", "CTenon",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        // Whole clusters under virtual time, from seeds. No NIO in it.
        .executableTarget(
            name: "tenon-sim",
            dependencies: [
                "TenonSimulator", "TenonChecker", "TenonCore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .testTarget(name: "TenonCoreTests", dependencies: ["TenonCore"], swiftSettings: strict),
        .testTarget(
            name: "TenonRaftTests", dependencies: ["TenonRaft", "TenonPlacement", "TenonCore"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonLogTests", dependencies: ["TenonLog", "TenonCore", "TenonSimulator"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonStoreTests", dependencies: ["TenonStore", "TenonCore", "TenonSimulator"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonPlacementTests", dependencies: ["TenonPlacement", "TenonCore"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonWireTests", dependencies: ["TenonWire", "TenonCore"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonKVTests",
            dependencies: ["TenonKV", "TenonStore", "TenonCore", "TenonSimulator"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonNodeTests",
            dependencies: [
                "TenonNode", "TenonCore", "TenonRaft", "TenonLog", "TenonStore", "TenonWire",
                "TenonKV", "TenonSimulator", "TenonChecker",
            ], swiftSettings: strict),
        .testTarget(
            name: "TenonCheckerTests", dependencies: ["TenonChecker", "TenonCore"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonSimulatorTests",
            dependencies: [
                "TenonSimulator", "TenonChecker", "TenonNode", "TenonWire", "TenonCore",
                "tenon-sim",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TenonServerTests",
            dependencies: [
                "TenonServer", "TenonCore", "TenonLog", "TenonStore", "TenonWire", "TenonNode",
            ], swiftSettings: strict),
        .testTarget(
            name: "TenonClientTests",
            dependencies: [
                "TenonClient", "TenonCore", "TenonWire",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .testTarget(
            name: "TenonCommandTests",
            dependencies: [
                "tenon", "TenonChecker", "TenonClient", "TenonPlacement", "TenonCore", "TenonWire",
                "TenonNode",
            ],
            swiftSettings: strict),
        // Checks of the source tree itself: imports, layout, words. No target of ours needed.
        .testTarget(name: "TidyTests", swiftSettings: strict),
        // Real processes of the release binary.
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["TenonClient", "TenonChecker", "TenonCore"], swiftSettings: strict),
    ]
)
