import Foundation

/// The files of this package, as the tidy tests read them.
struct SourceTree: Sendable {
    let root: URL

    /// The tree that this very file is in.
    static let current = SourceTree(
        root: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent())

    /// The Swift files of this package's sources and tests, read once for all tests.
    static let sources = current.swiftFiles(under: "Sources")
    static let tests = current.swiftFiles(under: "Tests")

    /// The Swift files under a folder, in the order of their paths; none when there is no folder.
    func swiftFiles(under folder: String) -> [SourceFile] {
        files(under: folder, suffix: ".swift").compactMap { path in
            text(of: path).map { SourceFile(path: path, text: $0) }
        }
    }

    /// Paths from the root of the files under a folder whose names end with `suffix`, sorted.
    /// Hidden folders (build products) are left out.
    func files(under folder: String, suffix: String) -> [String] {
        let base = root.appending(path: folder)
        let all = FileManager.default.enumerator(
            at: base, includingPropertiesForKeys: nil, options: [.skipsHiddenFiles])
        let prefix = root.path + "/"
        return (all?.compactMap { $0 as? URL } ?? [])
            .filter { $0.path.hasSuffix(suffix) }
            .map { String($0.path.dropFirst(prefix.count)) }
            .sorted()
    }

    /// The names of the folders in a folder, sorted.
    func folders(in folder: String) -> [String] {
        let path = root.appending(path: folder).path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { name in
            var isFolder: ObjCBool = false
            let isThere = unsafe FileManager.default.fileExists(
                atPath: path + "/" + name, isDirectory: &isFolder)
            return isThere && isFolder.boolValue && !name.hasPrefix(".")
        }.sorted()
    }

    func text(of path: String) -> String? {
        try? String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }
}

/// A Swift file, its lines, and its lines without comments and without what strings say.
struct SourceFile: Sendable {
    let path: String
    let lines: [String]
    /// The same lines; comments and the insides of strings are blank.
    let code: [String]
    /// ``code`` in one piece.
    private let wholeCode: String

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        wholeCode = CodeMask.mask(text)
        code = wholeCode.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The module of a file under Sources.
    var module: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

    /// Modules that the file imports, with the line of each.
    var imports: [(module: String, line: Int)] {
        code.enumerated().compactMap { place, line in
            guard line.contains("import ") else { return nil }
            let words = line.split(separator: " ").drop { word in
                word.hasPrefix("@") || SourceFile.accessLevels.contains(word)
            }
            guard words.first == "import" else { return nil }
            // `import struct Module.Name` names a kind first.
            guard let name = words.dropFirst().first(where: { !SourceFile.kinds.contains($0) })
            else { return nil }
            return (String(name.prefix { $0 != "." }), place + 1)
        }
    }

    /// Lines of code that match, except those that a `// Tidy:` comment on the line, or in the
    /// comment right above it, gives a reason for.
    ///
    /// The whole file is searched at once, and only then line by line: most files have no match.
    func places(of pattern: Regex<Substring>) -> [String] {
        guard wholeCode.contains(pattern) else { return [] }
        return code.enumerated().compactMap { place, line in
            guard line.contains(pattern), !isExcused(place) else { return nil }
            return "\(path):\(place + 1): \(lines[place].trimmingCharacters(in: .whitespaces))"
        }
    }

    func isExcused(_ place: Int) -> Bool {
        if lines[place].contains("// Tidy: ") { return true }
        var above = place - 1
        while above >= 0 {
            let line = lines[above].trimmingCharacters(in: .whitespaces)
            guard line.hasPrefix("//") else { return false }
            if line.hasPrefix("// Tidy: ") { return true }
            above -= 1
        }
        return false
    }

    private static let accessLevels: Set<Substring> = [
        "public", "package", "internal", "fileprivate", "private",
    ]
    private static let kinds: Set<Substring> = [
        "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
    ]
}

/// Blanks out what is no code, keeping lines and columns.
enum CodeMask {
    private enum Place {
        case code
        case lineComment
        case blockComment(depth: Int)
        case text(hashes: Int, isMultiline: Bool)
    }

    static func mask(_ source: String) -> String {
        let bytes = Array(source.utf8)
        var masked = bytes
        var place = Place.code
        var index = 0
        while index < bytes.count {
            let length = step(bytes, at: index, &place)
            let isKept = if case .code = place { true } else { false }
            for offset in index..<min(index + length, bytes.count)
            where !isKept && bytes[offset] != newline {
                masked[offset] = space
            }
            index += length
        }
        return String(decoding: masked, as: UTF8.self)
    }

    private static let newline = UInt8(ascii: "\n")
    private static let space = UInt8(ascii: " ")
    private static let backslash = UInt8(ascii: "\\")
    private static let slash = UInt8(ascii: "/")
    private static let quote = UInt8(ascii: "\"")
    private static let hash = UInt8(ascii: "#")

    /// Moves `place` on over what begins at `index` and returns how long that is.
    private static func step(_ bytes: [UInt8], at index: Int, _ place: inout Place) -> Int {
        switch place {
        case .code:
            // Most bytes open nothing; the long look is for those that may.
            let byte = bytes[index]
            guard byte == slash || byte == quote || byte == hash else { return 1 }
            return openingStep(bytes, at: index, &place)
        case .lineComment:
            if bytes[index] == newline { place = .code }
            return 1
        case .blockComment(let depth):
            if begins(bytes, at: index, "*/") {
                place = depth == 1 ? .code : .blockComment(depth: depth - 1)
                return 2
            }
            if begins(bytes, at: index, "/*") { place = .blockComment(depth: depth + 1) }
            return 1
        case .text(let hashes, let isMultiline):
            let byte = bytes[index]
            guard byte == backslash || byte == quote || byte == newline else { return 1 }
            let marks = String(repeating: "#", count: hashes)
            if begins(bytes, at: index, "\\" + marks) { return 2 + hashes }
            let end = (isMultiline ? "\"\"\"" : "\"") + marks
            if begins(bytes, at: index, end) {
                place = .code
                return end.utf8.count
            }
            if !isMultiline, bytes[index] == newline { place = .code }
            return 1
        }
    }

    private static func openingStep(
        _ bytes: [UInt8], at index: Int, _ place: inout Place
    ) -> Int {
        if begins(bytes, at: index, "//") {
            place = .lineComment
            return 2
        }
        if begins(bytes, at: index, "/*") {
            place = .blockComment(depth: 1)
            return 2
        }
        var hashes = 0
        while index + hashes < bytes.count, bytes[index + hashes] == UInt8(ascii: "#") {
            hashes += 1
        }
        for (mark, isMultiline) in [("\"\"\"", true), ("\"", false)]
        where begins(bytes, at: index + hashes, mark) {
            place = .text(hashes: hashes, isMultiline: isMultiline)
            return hashes + mark.utf8.count
        }
        return 1
    }

    private static func begins(_ bytes: [UInt8], at index: Int, _ text: String) -> Bool {
        bytes[min(index, bytes.count)...].starts(with: text.utf8)
    }
}
