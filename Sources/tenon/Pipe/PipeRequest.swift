import TenonClient
import TenonCore

/// One line of `tenon pipe`, checked.
struct PipeRequest: Sendable {
    /// What is asked, in the words of the client library.
    enum Work: Sendable {
        case put(Bytes, Bytes, Condition)
        case get(Bytes, at: Version?, Staleness)
        case getMany([Bytes], at: Version?, Staleness)
        case delete(Bytes, Condition)
        case deleteRange(from: Bytes, to: Bytes?)
        case scan(ScanRange, limit: Int, at: Version?, page: ScanToken?, Staleness)
        case transaction([KeyCondition], then: [Operation], else: [Operation])
    }

    /// Echoed as it was given; nil when there was none.
    let id: JSON?
    let keyspace: String
    let timeout: Duration
    /// Whether it is held until all earlier requests are answered.
    let isToWait: Bool
    let work: Work
}

extension PipeRequest {
    private static let timeoutMillisecondsDefault = 5_000
    private static let timeoutMillisecondsMax = 600_000

    /// The request that a line's JSON asks for.
    ///
    /// - Throws: what is wrong with it, for the `message` of an `invalid`.
    init(_ json: JSON) throws(InputError) {
        guard case .object = json else { throw InputError("a request is a JSON object") }
        id = json["id"]
        keyspace = try json.text("keyspace") ?? "default"
        isToWait = try json.flag("wait")
        let milliseconds =
            try json.count("timeoutMs", 1...PipeRequest.timeoutMillisecondsMax)
            ?? PipeRequest.timeoutMillisecondsDefault
        timeout = .milliseconds(milliseconds)
        guard let name = try json.text("op") else { throw InputError("\"op\" is missing") }
        work = try PipeRequest.work(name, json)
    }

    private static func work(_ name: String, _ json: JSON) throws(InputError) -> Work {
        switch name {
        case "put":
            return .put(
                try json.bytesNeeded("key"), try json.bytesNeeded("value"),
                try json.condition("if"))
        case "get":
            return .get(
                try json.bytesNeeded("key"), at: try json.version("at"), try json.staleness())
        case "getMany":
            return .getMany(try json.keys(), at: try json.version("at"), try json.staleness())
        case "delete": return .delete(try json.bytesNeeded("key"), try json.condition("if"))
        case "deleteRange":
            return .deleteRange(from: try json.bytes("from") ?? Bytes(), to: try json.bytes("to"))
        case "scan":
            let page = try json.text("page")
            return .scan(
                try json.range(), limit: try json.count("limit", 1...Limits.scanItemsMax) ?? 1_000,
                at: try json.version("at"), page: try page.map(token), try json.staleness())
        case "txn":
            return .transaction(
                try json.list("if").map(keyCondition), then: try json.list("then").map(operation),
                else: try json.list("else").map(operation))
        default:
            throw InputError(
                "\"\(name)\" is no op; there are put, get, getMany, delete, deleteRange, scan, txn")
        }
    }

    private static func token(_ text: String) throws(InputError) -> ScanToken {
        do throws(TenonError) {
            return try AnswerJSON.token(text)
        } catch {
            throw InputError(error.message)
        }
    }

    private static func keyCondition(_ json: JSON) throws(InputError) -> KeyCondition {
        let condition = try json.conditionMembers()
        guard condition != .none else {
            throw InputError("a condition needs \"absent\", \"version\" or \"value\"")
        }
        return KeyCondition(key: try json.bytesNeeded("key"), condition: condition)
    }

    private static func operation(_ json: JSON) throws(InputError) -> Operation {
        switch try json.text("op") {
        case "put":
            .put(
                key: try json.bytesNeeded("key"), value: try json.bytesNeeded("value"),
                condition: try json.condition("if"))
        case "get": .get(key: try json.bytesNeeded("key"))
        case "delete":
            .delete(key: try json.bytesNeeded("key"), condition: try json.condition("if"))
        case "deleteRange":
            .deleteRange(from: try json.bytes("from") ?? Bytes(), to: try json.bytes("to"))
        default: throw InputError("an op of a txn is put, get, delete or deleteRange")
        }
    }
}

/// Fields of a request: absent ones are nil, those of a wrong type are errors, never defaults.
extension JSON {
    fileprivate func text(_ name: String) throws(InputError) -> String? {
        switch self[name] {
        case nil: return nil
        case .string(let text)?: return text
        default: throw InputError("\"\(name)\" is not a string")
        }
    }

    fileprivate func flag(_ name: String) throws(InputError) -> Bool {
        switch self[name] {
        case nil: return false
        case .bool(let flag)?: return flag
        default: throw InputError("\"\(name)\" is not true or false")
        }
    }

    fileprivate func count(
        _ name: String, _ bounds: ClosedRange<Int>
    ) throws(InputError) -> Int? {
        guard let value = self[name] else { return nil }
        guard case .number(let digits) = value, let count = Int(digits), bounds.contains(count)
        else { throw InputError("\"\(name)\" is not a number from \(bounds)") }
        return count
    }

    /// `staleWithinMs` or `stale`: how old what is read may be.
    fileprivate func staleness() throws(InputError) -> Staleness {
        let bound = try count("staleWithinMs", 1...Int(UInt32.max))
        let isAny = try flag("stale")
        guard bound == nil || !isAny else {
            throw InputError("give \"staleWithinMs\" or \"stale\", not both")
        }
        if let bound { return .within(milliseconds: UInt32(bound)) }
        return isAny ? .any : .none
    }

    fileprivate func version(_ name: String) throws(InputError) -> Version? {
        switch self[name] {
        case nil: return nil
        case .string(let digits)?, .number(let digits)?:
            guard let number = UInt64(digits) else {
                throw InputError("\"\(name)\" is not a version, a decimal string")
            }
            return Version(number)
        default: throw InputError("\"\(name)\" is not a version, a decimal string")
        }
    }

    /// `name` as text or `name64` in base64.
    fileprivate func bytes(_ name: String) throws(InputError) -> Bytes? {
        let plain = try text(name)
        guard let encoded = try text(name + "64") else { return plain.map { Bytes($0) } }
        guard plain == nil else { throw InputError("give \"\(name)\" or \"\(name)64\", not both") }
        guard let bytes = Base64.decode(encoded) else {
            throw InputError("\"\(name)64\" is not base64")
        }
        return bytes
    }

    fileprivate func bytesNeeded(_ name: String) throws(InputError) -> Bytes {
        guard let bytes = try bytes(name) else { throw InputError("\"\(name)\" is missing") }
        return bytes
    }

    fileprivate func list(_ name: String) throws(InputError) -> [JSON] {
        switch self[name] {
        case nil: return []
        case .array(let items)?: return items
        default: throw InputError("\"\(name)\" is not a list")
        }
    }

    /// `keys`, texts, or `keys64`.
    fileprivate func keys() throws(InputError) -> [Bytes] {
        let plain = try list("keys").map { item throws(InputError) in
            guard case .string(let text) = item else { throw InputError("a key is a string") }
            return Bytes(text)
        }
        let encoded = try list("keys64").map { item throws(InputError) in
            guard case .string(let text) = item, let bytes = Base64.decode(text) else {
                throw InputError("an item of \"keys64\" is not base64")
            }
            return bytes
        }
        guard plain.isEmpty || encoded.isEmpty else {
            throw InputError("give \"keys\" or \"keys64\", not both")
        }
        return plain + encoded
    }

    fileprivate func range() throws(InputError) -> ScanRange {
        let isReversed = try flag("reverse")
        if let prefix = try bytes("prefix") {
            return ScanRange(prefix: prefix, isReversed: isReversed)
        }
        return ScanRange(
            from: try bytes("from") ?? Bytes(), to: try bytes("to"), isReversed: isReversed)
    }

    /// The condition in the object `name`.
    fileprivate func condition(_ name: String) throws(InputError) -> Condition {
        guard let object = self[name] else { return .none }
        guard case .object = object else { throw InputError("\"\(name)\" is not an object") }
        let condition = try object.conditionMembers()
        guard condition != .none else {
            throw InputError("\"\(name)\" needs \"absent\", \"version\" or \"value\"")
        }
        return condition
    }

    /// `absent`, `version` or `value` among the members.
    fileprivate func conditionMembers() throws(InputError) -> Condition {
        let version = try version("version")
        let value = try bytes("value")
        let isAbsent = try flag("absent")
        switch (isAbsent, version, value) {
        case (true, nil, nil): return .absent
        case (false, let version?, nil): return .version(version)
        case (false, nil, let value?): return .value(value)
        case (false, nil, nil): return .none
        default: throw InputError("a condition is one of \"absent\", \"version\" and \"value\"")
        }
    }
}
