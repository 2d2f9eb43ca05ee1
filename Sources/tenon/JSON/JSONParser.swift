/// Why a text is no JSON.
struct JSONError: Error, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Reads one JSON value. Strict: RFC 8259, no duplicate names, at most ``depthMax`` deep and
/// ``membersMax`` wide.
struct JSONParser {
    /// How deep arrays and objects may nest: the parser's recursion is bounded by it.
    static let depthMax = 64
    /// The most members of one object: each is compared with those before it.
    static let membersMax = 128

    private let bytes: ArraySlice<UInt8>
    private var offset: Int

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        offset = bytes.startIndex
    }

    /// The value that `bytes` spell, with nothing but white space around it.
    static func parse(_ bytes: ArraySlice<UInt8>) throws(JSONError) -> JSON {
        var parser = JSONParser(bytes)
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.offset == bytes.endIndex else { throw parser.error("more than one value") }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSON {
        guard depth <= JSONParser.depthMax else { throw error("nested too deep") }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case nil: throw error("the text ends too early")
        case let byte? where byte == UInt8(ascii: "-") || JSONParser.isDigit(byte):
            return try number()
        default: throw error("no JSON value")
        }
    }

    private mutating func object(_ depth: Int) throws(JSONError) -> JSON {
        offset += 1
        var members: [JSON.Member] = []
        skipSpace()
        if take("}") { return .object(members) }
        repeat {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw error("a member's name is missing") }
            let name = try string()
            // By bytes: to Swift two spellings of an accented letter are equal, to JSON they differ.
            guard !members.contains(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
                throw error("\"\(name)\" stands there twice")
            }
            guard members.count < JSONParser.membersMax else {
                throw error("an object of over \(JSONParser.membersMax) members")
            }
            skipSpace()
            guard take(":") else { throw error("a colon is missing") }
            members.append(JSON.Member(name, try value(depth: depth + 1)))
            skipSpace()
        } while take(",")
        guard take("}") else { throw error("a closing brace is missing") }
        return .object(members)
    }

    private mutating func array(_ depth: Int) throws(JSONError) -> JSON {
        offset += 1
        var items: [JSON] = []
        skipSpace()
        if take("]") { return .array(items) }
        repeat {
            items.append(try value(depth: depth + 1))
            skipSpace()
        } while take(",")
        guard take("]") else { throw error("a closing bracket is missing") }
        return .array(items)
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let end = offset + word.utf8CodeUnitCount
        guard end <= bytes.endIndex, bytes[offset..<end].elementsEqual("\(word)".utf8) else {
            throw error("no JSON value")
        }
        offset = end
        return value
    }

    private mutating func number() throws(JSONError) -> JSON {
        let start = offset
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            try digits()
        }
        return .number(String(decoding: bytes[start..<offset], as: UTF8.self))
    }

    private mutating func digits() throws(JSONError) {
        let start = offset
        while let byte = peek, JSONParser.isDigit(byte) { offset += 1 }
        guard offset > start else { throw error("a digit is missing") }
    }

    private mutating func string() throws(JSONError) -> String {
        offset += 1
        let start = offset
        while let byte = peek, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20
        {
            offset += 1
        }
        if peek == UInt8(ascii: "\"") {
            // The common case: no escape, no copy.
            defer { offset += 1 }
            return try text(bytes[start..<offset])
        }
        var unescaped = Array(bytes[start..<offset])
        while let byte = peek {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return try text(unescaped[...])
            case UInt8(ascii: "\\"): try escape(into: &unescaped)
            case 0..<0x20: throw error("a control character in a string")
            default: unescaped.append(byte)
            }
        }
        throw error("a string does not end")
    }

    private func text(_ utf8: ArraySlice<UInt8>) throws(JSONError) -> String {
        guard let text = String(validating: utf8, as: UTF8.self) else {
            throw error("a string is not UTF-8 (use key64 and value64 for other bytes)")
        }
        return text
    }

    private mutating func escape(into output: inout [UInt8]) throws(JSONError) {
        guard let byte = peek else { throw error("a string does not end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(byte)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "u"): output += String(try scalar()).utf8
        default: throw error("an unknown escape")
        }
    }

    /// The character of one `\uXXXX`, or of a surrogate pair of them.
    private mutating func scalar() throws(JSONError) -> Character {
        let first = try fourDigits()
        var code = UInt32(first)
        if (0xD800..<0xDC00).contains(first) {
            guard take("\\"), take("u") else { throw error("half a surrogate pair") }
            let second = try fourDigits()
            guard (0xDC00..<0xE000).contains(second) else { throw error("half a surrogate pair") }
            code = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw error("half a surrogate pair") }
        return Character(scalar)
    }

    private mutating func fourDigits() throws(JSONError) -> UInt16 {
        guard bytes.endIndex - offset >= 4,
            bytes[offset..<offset + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let code = UInt16(
                String(decoding: bytes[offset..<offset + 4], as: UTF8.self), radix: 16)
        else { throw error("four hexadecimal digits are missing") }
        offset += 4
        return code
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private var peek: UInt8? { offset < bytes.endIndex ? bytes[offset] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || (0x09...0x0D).contains(byte), byte != 0x0B,
            byte != 0x0C
        {
            offset += 1
        }
    }

    private func error(_ message: String) -> JSONError {
        JSONError("\(message), at byte \(offset - bytes.startIndex + 1)")
    }
}
