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
]

/// Returning a span needs this experimental feature; TenonCore alone uses it.
let lifetimes: [SwiftSetting] = [.enableExperimentalFeature("Lifetimes")]

let package = Package(
    name: "tenon",
    products: [],
    traits: [
        .trait(
            name: "InvariantChecks",
            description: "Check the dear invariants on the exit of every mutation (tests, simulation).")
    ],
    dependencies: [],
    targets: [
        // The engine: the toolchain and liblz4 only.
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .target(name: "CTenon"),
        .target(
            name: "TenonCore", dependencies: ["CLZ4", "CTenon"], swiftSettings: strict + lifetimes),
        .target(name: "TenonRaft", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonLog", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonStore", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonWire", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(name: "TenonKV", dependencies: ["TenonCore", "TenonStore"], swiftSettings: strict),
        .target(
            name: "TenonNode",
            dependencies: [
                "TenonCore", "TenonRaft", "TenonLog", "TenonStore", "TenonWire", "TenonKV",
            ], swiftSettings: strict),
        .target(name: "TenonChecker", dependencies: ["TenonCore"], swiftSettings: strict),
        .target(
            name: "TenonSimulator",
            dependencies: [
                "TenonCore", "TenonRaft", "TenonLog", "TenonStore", "TenonWire", "TenonKV",
                "TenonNode", "TenonChecker",
            ], swiftSettings: strict),
        .testTarget(name: "TenonCoreTests", dependencies: ["TenonCore"], swiftSettings: strict),
        .testTarget(
            name: "TenonRaftTests", dependencies: ["TenonRaft", "TenonCore"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonLogTests", dependencies: ["TenonLog", "TenonCore", "TenonSimulator"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonStoreTests", dependencies: ["TenonStore", "TenonCore", "TenonSimulator"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonWireTests", dependencies: ["TenonWire", "TenonCore"],
            swiftSettings: strict),
        .testTarget(
            name: "TenonKVTests", dependencies: ["TenonKV", "TenonStore", "TenonCore", "TenonSimulator"],
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
            name: "TenonSimulatorTests", dependencies: ["TenonSimulator", "TenonCore"],
            swiftSettings: strict),
    ]
)
