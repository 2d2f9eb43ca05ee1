internal import TenonCore

/// Builds the text of one JSON object.
struct JSONObjectText {
    private var text = "{"

    var closed: String { text + "}" }

    mutating func add(_ name: String, raw value: String) {
        text += (text.utf8.count == 1 ? "\"" : ",\"") + name + "\":" + value
    }

    mutating func add(_ name: String, text value: String) { add(name, raw: quoted(value)) }

    /// Text when the bytes are UTF-8, otherwise base64 under the name with "64".
    mutating func add(_ name: String, bytes: Bytes) {
        if let text = bytes.utf8Text {
            add(name, text: text)
        } else {
            add(name + "64", text: Base64.encode(bytes))
        }
    }

    mutating func add(_ name: String, list elements: [String]) {
        add(name, raw: "[" + elements.joined(separator: ",") + "]")
    }

    /// Texts when all keys are UTF-8, otherwise base64 under "keys64".
    mutating func add(keys: [Bytes]) {
        let texts = keys.compactMap(\.utf8Text)
        if texts.count == keys.count {
            add("keys", list: texts.map { quoted($0) })
        } else {
            add("keys64", list: keys.map { quoted(Base64.encode($0)) })
        }
    }

    mutating func add(expectation: Condition) {
        switch expectation {
        case .absent: add("expect", raw: "null")
        case .value(let bytes): add("expect", bytes: bytes)
        case .version(let version): add("expect", raw: "{\"version\":\"\(version)\"}")
        case .present: add("expect", raw: "{\"present\":true}")
        case .none: break
        }
    }

    private func quoted(_ value: String) -> String {
        var quoted = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\0"..<" ": quoted += "\\u" + hexadecimal(UInt64(scalar.value), digits: 4)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
