// swift-tools-version: 6.2
// The engine's own source folders, reached through the link `Engine`: their interfaces are
// `package`, which another package could not use (Docs/Decisions/0002-benchmarks.md).
import PackageDescription

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
]

let package = Package(
    name: "tenon-benchmarks",
    targets: [
        .systemLibrary(name: "CLZ4", path: "Engine/CLZ4", pkgConfig: "liblz4"),
        .target(name: "CTenon", path: "Engine/CTenon"),
        .target(
            name: "TenonCore", dependencies: ["CLZ4", "CTenon"], path: "Engine/TenonCore",
            swiftSettings: strict + [.enableExperimentalFeature("Lifetimes")]),
        .target(
            name: "TenonLog", dependencies: ["TenonCore"], path: "Engine/TenonLog",
            swiftSettings: strict),
        .target(
            name: "TenonStore", dependencies: ["TenonCore"], path: "Engine/TenonStore",
            swiftSettings: strict),
        // Real files, without the sockets of the server.
        .target(
            name: "PosixFiles", dependencies: ["TenonCore", "CTenon"],
            path: "Engine/TenonServer/Files", swiftSettings: strict),
        .executableTarget(
            name: "tenon-benchmarks",
            dependencies: ["TenonCore", "TenonLog", "TenonStore", "PosixFiles"],
            swiftSettings: strict),
    ]
)
