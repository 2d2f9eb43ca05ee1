import Testing

@Suite("How the code is laid out")
struct LayoutTests {
    private let tree = SourceTree.current
    private var sources: [SourceFile] { SourceTree.sources }
    private var tests: [SourceFile] { SourceTree.tests }

    /// Files over the bound, each with its reason.
    private static let longFiles: [String: String] = [:]
    private static let fileLinesMax = 500
    private static let functionLinesMax = 70
    private static let columnsMax = 100

    @Test("No source file is over 500 lines without a reason")
    func fileLengths() {
        for file in sources
        where file.lines.count > Self.fileLinesMax && Self.longFiles[file.path] == nil {
            Issue.record("\(file.path) has \(file.lines.count) lines")
        }
    }

    @Test("No function is over 70 lines")
    func functionLengths() {
        for file in sources {
            for function in FunctionLength.all(in: file)
            where function.lines > Self.functionLinesMax {
                Issue.record("\(file.path):\(function.start): \(function.lines) lines")
            }
        }
    }

    @Test("No line of code is over 100 columns")
    func columns() {
        for file in sources + tests {
            for (place, line) in file.code.enumerated() where line.utf8.count > Self.columnsMax {
                // The formatter breaks no string, and neither need we.
                if file.lines[place].contains("\"") { continue }
                let code = line.replacing(/\s+$/, with: "")
                guard code.count > Self.columnsMax, !code.contains(/= *\/|^\s*\//) else { continue }
                Issue.record("\(file.path):\(place + 1): \(code.count) columns")
            }
        }
    }

    @Test("No file or folder has a name that says nothing")
    func names() {
        let empty = /\b(?:Utils?|Utilities|Helpers?|Managers?|Misc|Common)\b/
        let paths =
            tree.files(under: "Sources", suffix: "") + tree.files(under: "Tests", suffix: "")
        for path in paths where path.contains(empty) {
            Issue.record("\(path)")
        }
    }

    @Test("Sources force nothing: no try!, no as!, no bare fatalError, no empty catch")
    func forced() {
        for pattern in [/\btry!/, /\bas!/, /\bfatalError\(\)/, /\bcatch(?: let \w+)? *\{ *\}/] {
            for place in sources.flatMap({ $0.places(of: pattern) }) { Issue.record("\(place)") }
        }
    }

    @Test("Every @unchecked Sendable has its reason above it")
    func uncheckedSendable() {
        for file in sources {
            for (place, line) in file.code.enumerated() where line.contains("@unchecked Sendable") {
                let hasReason =
                    file.lines[place].contains("//")
                    || (place > 0
                        && file.lines[place - 1].trimmingPrefix(/\s+/).hasPrefix("//"))
                if !hasReason { Issue.record("\(file.path):\(place + 1)") }
            }
        }
    }

    @Test("No test sleeps to wait for something that it could await")
    func sleeps() {
        // The one place that asks again and again what cannot be awaited: the world outside.
        let polling = "Tests/EndToEndTests/Eventually.swift"
        for file in tests where file.path != polling {
            for place in file.places(of: /\bTask\.sleep\b|\b(?:u|nano)?sleep\(/) {
                Issue.record("\(place)")
            }
        }
    }

    @Test("No target is compiled without its checks")
    func unsafeFlags() throws {
        let manifest = try #require(tree.text(of: "Package.swift"))
        #expect(!manifest.contains("-Ounchecked"))
        #expect(!manifest.contains("unsafeFlags"))
    }

    @Test("The length of a function is counted from its first line to its closing brace")
    func functionLengthRule() {
        let text = """
            struct A {
                func one() {
                    if true {
                    }
                }

                init(
                    a: Int
                ) {
                }
                var declared: Int { 1 }
            }
            """
        let found = FunctionLength.all(in: SourceFile(path: "a.swift", text: text))
        #expect(found == [FunctionLength(start: 2, lines: 4), FunctionLength(start: 7, lines: 4)])
    }
}

/// Where a function begins and how many lines it has, by its indentation (the formatter keeps it).
struct FunctionLength: Equatable {
    var start: Int
    var lines: Int

    static func all(in file: SourceFile) -> [FunctionLength] {
        file.code.enumerated().compactMap { place, line in
            guard line.contains("func ") || line.contains("init"),
                line.contains(/\b(?:func [\w=<>+\-*\/!&|~%]+|init\??)\s*[<(]/),
                line.contains(/^\s*(?:[@\w().]+ )*(?:func|init)\b/)
            else { return nil }
            let indentation = line.prefix { $0 == " " }
            guard
                let end = file.code[place...].firstIndex(where: { $0 == indentation + "}" })
            else { return nil }
            // A declaration without a body ends before the brace of somebody else.
            let isBodiless = file.code[place + 1..<max(place + 1, end)].contains { other in
                other.hasPrefix(indentation) && !other.hasPrefix(indentation + " ")
                    && !other.hasPrefix(indentation + ")") && !other.hasPrefix(indentation + "}")
            }
            return isBodiless || line.hasSuffix("}")
                ? nil : FunctionLength(start: place + 1, lines: end - place + 1)
        }
    }
}
