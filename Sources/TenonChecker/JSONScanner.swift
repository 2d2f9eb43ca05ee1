internal import TenonCore

/// Why a line of a history is not one.
package enum HistoryError: Error, Hashable, Sendable {
    /// The text is not JSON, at this byte of the line.
    case notJSON(offset: Int)
    /// Values nest deeper than a history's ever do.
    case tooDeep(offset: Int)
    /// A field is missing or has a value that it cannot have.
    case field(String)
    /// One of the above in this line, counted from 1.
    indirect case line(Int, HistoryError)
}

/// A JSON value as far as histories need one: numbers are kept as text, so that 64-bit integers
/// stay exact.
enum JSONValue: Hashable {
    case null
    case flag(Bool)
    case number(String)
    case text(String)
    case list([JSONValue])
    /// Fields in the order of the file. Lookups are linear: objects here have a dozen fields.
    case object([JSONField])

    subscript(name: String) -> JSONValue? {
        guard case .object(let fields) = self else { return nil }
        return fields.first { $0.name == name }?.value
    }
}

/// A field of a JSON object.
struct JSONField: Hashable {
    var name: String
    var value: JSONValue
}

/// Reads one JSON value from a line. Depth is bounded, so no line makes it recurse far.
///
/// Source: RFC 8259.
struct JSONScanner {
    private let bytes: [UInt8]
    private var offset = 0
    private static let depthMax = 8

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The value that the whole of the bytes is.
    static func value(of bytes: [UInt8]) throws(HistoryError) -> JSONValue {
        var scanner = JSONScanner(bytes)
        let value = try scanner.value(depth: 0)
        scanner.skipSpace()
        guard scanner.offset == bytes.count else { throw .notJSON(offset: scanner.offset) }
        return value
    }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
            offset += 1
        }
    }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func require(_ character: Unicode.Scalar) throws(HistoryError) {
        guard accept(character) else { throw .notJSON(offset: offset) }
    }

    private mutating func value(depth: Int) throws(HistoryError) -> JSONValue {
        guard depth < JSONScanner.depthMax else { throw .tooDeep(offset: offset) }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return .object(try fields(depth: depth))
        case UInt8(ascii: "["): return .list(try items(depth: depth))
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "t"): return try word("true", .flag(true))
        case UInt8(ascii: "f"): return try word("false", .flag(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func fields(depth: Int) throws(HistoryError) -> [JSONField] {
        try require("{")
        var fields: [JSONField] = []
        if accept("}") { return fields }
        repeat {
            skipSpace()
            let name = try text()
            try require(":")
            fields.append(JSONField(name: name, value: try value(depth: depth + 1)))
        } while accept(",")
        try require("}")
        return fields
    }

    private mutating func items(depth: Int) throws(HistoryError) -> [JSONValue] {
        try require("[")
        var items: [JSONValue] = []
        if accept("]") { return items }
        repeat { items.append(try value(depth: depth + 1)) } while accept(",")
        try require("]")
        return items
    }

    private mutating func word(
        _ word: String, _ value: JSONValue
    ) throws(HistoryError) -> JSONValue {
        guard bytes[offset...].starts(with: word.utf8) else { throw .notJSON(offset: offset) }
        offset += word.utf8.count
        return value
    }

    private mutating func number() throws(HistoryError) -> JSONValue {
        let start = offset
        while let byte = next, "+-.eE0123456789".utf8.contains(byte) { offset += 1 }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        // Fields take decimal integers; other numbers are let through where they are skipped.
        guard text.utf8.contains(where: { $0 >= 0x30 && $0 <= 0x39 }) else {
            throw .notJSON(offset: start)
        }
        return .number(text)
    }

    private mutating func text() throws(HistoryError) -> String {
        try require("\"")
        var utf8: [UInt8] = []
        while let byte = next, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw .notJSON(offset: offset) }
            offset += 1
            if byte == UInt8(ascii: "\\") {
                utf8.append(contentsOf: try escaped())
            } else {
                utf8.append(byte)
            }
        }
        try require("\"")
        guard let text = String(validating: utf8, as: UTF8.self) else {
            throw .notJSON(offset: offset)
        }
        return text
    }

    private mutating func escaped() throws(HistoryError) -> [UInt8] {
        guard let byte = next else { throw .notJSON(offset: offset) }
        offset += 1
        switch byte {
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "u"): return Array(String(Character(try escapedScalar())).utf8)
        default: throw .notJSON(offset: offset - 1)
        }
    }

    /// A `\u` escape, or the pair of them that spells a scalar above U+FFFF.
    private mutating func escapedScalar() throws(HistoryError) -> Unicode.Scalar {
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, bytes[offset...].starts(with: "\\u".utf8) else {
            throw .notJSON(offset: offset)
        }
        offset += 2
        let second = try codeUnit()
        guard second >= 0xDC00, second < 0xE000,
            let scalar = Unicode.Scalar(
                0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw .notJSON(offset: offset) }
        return scalar
    }

    private mutating func codeUnit() throws(HistoryError) -> UInt16 {
        guard bytes.count - offset >= 4,
            let unit = UInt16(
                String(decoding: bytes[offset..<offset + 4], as: UTF8.self), radix: 16)
        else { throw .notJSON(offset: offset) }
        offset += 4
        return unit
    }
}
