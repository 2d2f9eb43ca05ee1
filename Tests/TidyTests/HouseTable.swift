/// Who may import whom (Docs/Architecture.md, "The house"): the table that the tests keep.
enum HouseTable {
    /// What one target may depend on and import.
    struct Row: Sendable {
        /// Targets of this package.
        var targets: Set<String>
        /// Products of other packages.
        var products: Set<String> = []
        /// What comes with the toolchain.
        var toolchain: Set<String> = ["Glibc"]

        var modules: Set<String> { targets.union(products).union(toolchain) }
    }

    /// The engine: nothing but the toolchain's Glibc, liblz4 and modules of its own.
    static let engine: [String: Row] = [
        "CLZ4": Row(targets: [], toolchain: []),
        "CTenon": Row(targets: [], toolchain: []),
        "TenonCore": Row(targets: ["CLZ4", "CTenon"]),
        "TenonRaft": Row(targets: ["TenonCore"]),
        "TenonLog": Row(targets: ["TenonCore"]),
        "TenonStore": Row(targets: ["TenonCore"]),
        "TenonPlacement": Row(targets: ["TenonCore"]),
        "TenonWire": Row(targets: ["TenonCore"]),
        "TenonKV": Row(targets: ["TenonCore", "TenonStore"]),
        "TenonNode": Row(targets: [
            "TenonCore", "TenonRaft", "TenonLog", "TenonStore", "TenonPlacement", "TenonWire",
            "TenonKV",
        ]),
        "TenonChecker": Row(targets: ["TenonCore"]),
        "TenonSimulator": Row(targets: [
            "TenonCore", "TenonRaft", "TenonLog", "TenonStore", "TenonPlacement", "TenonWire",
            "TenonKV", "TenonNode", "TenonChecker",
        ]),
    ]

    /// The edge: sockets, threads, real files, the command line.
    static let edge: [String: Row] = [
        "TenonServer": Row(
            targets: [
                "TenonCore", "TenonLog", "TenonStore", "TenonWire", "TenonNode", "CTenon",
            ],
            products: [
                "NIOCore", "NIOPosix", "Logging", "Configuration", "ServiceLifecycle",
                "SystemPackage",
            ],
            toolchain: ["Glibc", "Synchronization"]),
        "TenonClient": Row(
            targets: ["TenonCore", "TenonWire"], products: ["NIOCore", "NIOPosix"],
            toolchain: ["Glibc", "Synchronization"]),
        "tenon": Row(
            targets: [
                "TenonServer", "TenonClient", "TenonChecker", "TenonPlacement", "TenonCore",
                "TenonWire", "TenonNode", "CTenon",
            ],
            products: [
                "ArgumentParser", "Histogram", "Logging", "ServiceLifecycle", "UnixSignals",
            ],
            toolchain: ["Glibc", "Synchronization", "Foundation", "Dispatch"]),
        "tenon-sim": Row(
            targets: ["TenonSimulator", "TenonChecker", "TenonCore"],
            products: ["ArgumentParser"],
            toolchain: ["Glibc", "Foundation"]),
    ]

    static let all = engine.merging(edge) { row, _ in row }

    /// Swift modules of the engine, in order.
    static let engineModules = engine.keys.filter { $0.hasPrefix("Tenon") }.sorted()
}
