import Foundation
import Testing

@Suite("Who imports whom")
struct ImportTests {
    private let tree = SourceTree.current

    @Test("The package declares no arrow that the table does not have")
    func declaredArrows() throws {
        let targets = try PackageDescription.ofThisPackage().targets
        #expect(!targets.isEmpty)
        for target in targets where target.type != "test" {
            let row = try #require(
                HouseTable.all[target.name], "the target \(target.name) is not in the table")
            let declared = Set(target.dependencyNames)
            let allowed = row.targets.union(row.products)
            let extra = declared.subtracting(allowed).sorted()
            #expect(extra.isEmpty, "\(target.name) declares \(extra)")
        }
    }

    @Test("No source file imports what the table does not give its module")
    func importLines() {
        for file in SourceTree.sources {
            guard let row = HouseTable.all[file.module] else {
                Issue.record("\(file.path): the module \(file.module) is not in the table")
                continue
            }
            for (module, line) in file.imports where !row.modules.contains(module) {
                Issue.record("\(file.path):\(line): \(file.module) may not import \(module)")
            }
        }
    }

    @Test("Every folder of Sources is a module of the table")
    func folders() {
        let strange = tree.folders(in: "Sources").filter { HouseTable.all[$0] == nil }
        #expect(strange.isEmpty)
    }

    @Test("An import is found behind attributes, access levels and kinds")
    func importForms() {
        let text = """
            import A
            package import B
              @testable import C
            internal import struct D.Thing
            // import E
            let text = "import F"
            @_exported public import G
            """
        let file = SourceFile(path: "Sources/X/x.swift", text: text)
        #expect(file.imports.map(\.module) == ["A", "B", "C", "D", "G"])
    }
}

/// What `swift package dump-package` says.
struct PackageDescription: Decodable {
    struct Target: Decodable {
        var name: String
        var type: String
        var dependencies: [[String: [JSONName?]]]

        /// The targets and products that this one declares.
        var dependencyNames: [String] {
            dependencies.flatMap { $0.values.compactMap { $0.first??.text } }
        }
    }

    /// A name, or a part of a dependency that is none (a condition).
    struct JSONName: Decodable {
        var text: String?

        init(from decoder: any Decoder) throws {
            text = try? decoder.singleValueContainer().decode(String.self)
        }
    }

    var targets: [Target]

    /// - Throws: when the toolchain cannot read the manifest.
    static func ofThisPackage() throws -> PackageDescription {
        // A folder of its own: the default one is locked by the `swift test` that runs this.
        let scratch = FileManager.default.temporaryDirectory
            .appending(path: "tenon-tidy-\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "swift", "package", "--package-path", SourceTree.current.root.path,
            "--scratch-path", scratch.path, "dump-package",
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return try JSONDecoder().decode(PackageDescription.self, from: bytes)
    }
}
