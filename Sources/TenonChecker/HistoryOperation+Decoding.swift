internal import TenonCore

extension HistoryOperation {
    /// The operation that a line's object describes. Fields may stand in any order.
    init(json: JSONValue) throws(HistoryError) {
        let fields = HistoryFields(json: json)
        let worker = try fields.requiredNumber("p")
        let sentAt = try fields.requiredNumber("t0")
        let answeredAt = try fields.number("t1")
        guard let result = Result(rawValue: try fields.requiredText("res")) else {
            throw .field("res")
        }
        if let answeredAt, answeredAt < sentAt { throw .field("t1") }
        self.init(
            worker: Int(clamping: worker), sentAt: Instant(nanoseconds: sentAt),
            answeredAt: answeredAt.map { Instant(nanoseconds: $0) },
            action: try fields.action(), result: result, read: try fields.reading("read"),
            version: try fields.version("version"), found: try fields.flag("found"),
            at: try fields.point(), asOf: try fields.version("asOf"), items: try fields.items())
        rest = try fields.bytes("rest")
        values = try fields.list("values").map { value throws(HistoryError) in
            try HistoryFields(json: value).storedValue(isNull: value == .null)
        }
        succeeded = try fields.flag("succeeded")
        if case .transaction(let transaction) = action {
            results = try fields.results(of: transaction, succeeded: succeeded)
        }
    }
}

/// Typed access to the fields of one object.
struct HistoryFields {
    let json: JSONValue

    func number(_ name: String) throws(HistoryError) -> UInt64? {
        switch json[name] {
        case nil, .null: return nil
        case .number(let text), .text(let text):
            guard let number = UInt64(text) else { throw .field(name) }
            return number
        default: throw .field(name)
        }
    }

    func requiredNumber(_ name: String) throws(HistoryError) -> UInt64 {
        guard let number = try number(name) else { throw .field(name) }
        return number
    }

    func version(_ name: String) throws(HistoryError) -> Timestamp? {
        try number(name).map { Timestamp($0) }
    }

    func requiredText(_ name: String) throws(HistoryError) -> String {
        guard case .text(let text) = json[name] else { throw .field(name) }
        return text
    }

    func flag(_ name: String) throws(HistoryError) -> Bool? {
        switch json[name] {
        case nil, .null: return nil
        case .flag(let flag): return flag
        default: throw .field(name)
        }
    }

    /// The bytes of `name` (text) or of `name` with "64" (base64); nil when neither is there.
    func bytes(_ name: String) throws(HistoryError) -> Bytes? {
        if let value = json[name] {
            guard case .text(let text) = value else { throw .field(name) }
            return Bytes(text)
        }
        guard let value = json[name + "64"] else { return nil }
        guard case .text(let text) = value, let bytes = Base64.decode(text) else {
            throw .field(name + "64")
        }
        return bytes
    }

    func requiredBytes(_ name: String) throws(HistoryError) -> Bytes {
        guard let bytes = try bytes(name) else { throw .field(name) }
        return bytes
    }

    func reading(_ name: String) throws(HistoryError) -> HistoryOperation.Reading? {
        if json[name] == .null { return .absent }
        return try bytes(name).map { .value($0) }
    }

    func point() throws(HistoryError) -> HistoryOperation.Point? {
        guard let at = json["at"], at != .null else { return nil }
        let fields = HistoryFields(json: at)
        return HistoryOperation.Point(
            tablet: TabletID(try fields.requiredNumber("tablet")),
            version: Timestamp(try fields.requiredNumber("version")))
    }

    func items() throws(HistoryError) -> [HistoryOperation.Item] {
        guard let list = json["items"], list != .null else { return [] }
        guard case .list(let values) = list else { throw .field("items") }
        var items: [HistoryOperation.Item] = []
        for value in values {
            let fields = HistoryFields(json: value)
            items.append(
                HistoryOperation.Item(
                    key: try fields.requiredBytes("key"),
                    value: try fields.requiredBytes("value"),
                    version: try fields.version("version")))
        }
        return items
    }

    /// The elements of a list; none when it is not there.
    func list(_ name: String) throws(HistoryError) -> [JSONValue] {
        switch json[name] {
        case nil, .null: return []
        case .list(let values): return values
        default: throw .field(name)
        }
    }

    /// The value and version that these are the fields of.
    func storedValue(isNull: Bool) throws(HistoryError) -> StoredValue? {
        guard !isNull else { return nil }
        guard let version = try version("version") else { throw .field("version") }
        return StoredValue(bytes: try requiredBytes("value"), version: version)
    }

    private func keys() throws(HistoryError) -> [Bytes] {
        let isEncoded = json["keys"] == nil
        return try list(isEncoded ? "keys64" : "keys").map { value throws(HistoryError) in
            guard case .text(let text) = value,
                let key = isEncoded ? Base64.decode(text) : Bytes(text)
            else { throw .field("keys") }
            return key
        }
    }

    private func expectation() throws(HistoryError) -> Condition {
        switch json["expect"] {
        case .null: return .absent
        case .object:
            let fields = HistoryFields(json: json["expect"] ?? .null)
            guard let condition = try fields.conditionOfFields() else { throw .field("expect") }
            return condition
        default: return try bytes("expect").map { .value($0) } ?? .none
        }
    }

    /// The condition that fields of one object spell; nil when they spell none.
    func conditionOfFields() throws(HistoryError) -> Condition? {
        if let version = try version("version") { return .version(version) }
        if try flag("present") == true { return .present }
        if try flag("absent") == true { return .absent }
        return try bytes("value").map { .value($0) }
    }

    func action() throws(HistoryError) -> HistoryOperation.Action {
        let name = try requiredText("op")
        switch name {
        case "get": return .get(key: try requiredBytes("key"))
        case "put": return .put(key: try requiredBytes("key"), value: try requiredBytes("value"))
        case "getMany": return .getMany(keys: try keys())
        case "delete":
            let expect = try expectation()
            let key = try requiredBytes("key")
            return expect == .none
                ? .delete(key: key) : .compareAndDelete(key: key, expect: expect)
        case "txn": return .transaction(try transaction())
        case "cas":
            return .compareAndSet(
                key: try requiredBytes("key"), value: try requiredBytes("value"),
                expect: try expectation())
        case "scan":
            return .scan(
                from: try bytes("from") ?? Bytes(), to: try bytes("to"),
                limit: try number("limit").map { Int(clamping: $0) },
                isReverse: try flag("reverse") ?? false)
        case "deleteRange":
            return .deleteRange(from: try bytes("from") ?? Bytes(), to: try bytes("to"))
        default: return .other(name: name)
        }
    }
}
