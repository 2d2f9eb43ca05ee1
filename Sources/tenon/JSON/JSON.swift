/// A JSON value that goes out as it came in: numbers keep their digits and objects their order,
/// so that a request's `id` is echoed as given and a 64-bit number loses nothing.
enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    /// The digits as they stand in the text.
    case number(String)
    case string(String)
    case array([JSON])
    case object([Member])

    /// A member of an object.
    struct Member: Hashable, Sendable {
        let name: String
        let value: JSON

        init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// The first member of this name; nil when there is none or this is no object.
    subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// An integer.
    static func integer(_ value: some BinaryInteger) -> JSON { .number(String(value)) }

    /// A number with so many digits after the point.
    static func decimal(_ value: Double, digits: Int) -> JSON {
        guard value.isFinite else { return .null }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        guard digits > 0, abs(scaled) < 1e15 else {
            return Int64(exactly: value.rounded()).map { .integer($0) } ?? .number("\(value)")
        }
        let whole = Int64(abs(scaled)) / Int64(scale)
        let fraction = String(Int64(abs(scaled)) % Int64(scale))
        let zeros = String(repeating: "0", count: digits - fraction.utf8.count)
        return .number("\(scaled < 0 ? "-" : "")\(whole).\(zeros)\(fraction)")
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .string(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(integerLiteral value: Int) { self = .integer(value) }
    init(arrayLiteral elements: JSON...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(elements.map { Member($0, $1) })
    }
}

extension JSON {
    /// The text, on one line.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The text in UTF-8, on one line.
    var bytes: [UInt8] {
        var output: [UInt8] = []
        write(to: &output)
        return output
    }

    /// Appends the text.
    func write(to output: inout [UInt8]) {
        switch self {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .number(let digits): output += digits.utf8
        case .string(let text): JSON.write(text, to: &output)
        case .array(let items):
            output.append(UInt8(ascii: "["))
            for (place, item) in items.enumerated() {
                if place > 0 { output.append(UInt8(ascii: ",")) }
                item.write(to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (place, member) in members.enumerated() {
                if place > 0 { output.append(UInt8(ascii: ",")) }
                JSON.write(member.name, to: &output)
                output.append(UInt8(ascii: ":"))
                member.value.write(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Source: RFC 8259, section 7: quotes, backslashes and what is below U+0020 are escaped.
    private static func write(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): output += "\\n".utf8
            case UInt8(ascii: "\t"): output += "\\t".utf8
            case UInt8(ascii: "\r"): output += "\\r".utf8
            case 0..<0x20:
                output += "\\u00".utf8
                output += [byte >> 4, byte & 15].map { hexadecimalDigits[Int($0)] }
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private static let hexadecimalDigits = Array("0123456789abcdef".utf8)
}
