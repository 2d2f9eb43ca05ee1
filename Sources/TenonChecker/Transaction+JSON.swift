internal import TenonCore

/// Transactions and their results in history files, in the form that `tenon pipe` gives them.
///
/// ```
/// if    [{"key":…,"absent":true | "present":true | "version":"…" | "value":…}]
/// then  [{"op":"put|get|delete|deleteRange", "key","value","from","to", "if":{condition}}]
/// else  the same
/// results, of the list that was run: {"ok":true} | {"ok":true,"found":…,"value","version"}
///          | {"ok":false,"error":"conditionFailed","found":…,"value","version"}
/// ```
extension HistoryFields {
    func transaction() throws(HistoryError) -> Transaction {
        Transaction(
            conditions: try list("if").map { json throws(HistoryError) in
                try HistoryFields(json: json).keyCondition()
            },
            then: try operations("then"), else: try operations("else"))
    }

    private func keyCondition() throws(HistoryError) -> KeyCondition {
        guard let condition = try conditionOfFields() else { throw .field("if") }
        return KeyCondition(key: try requiredBytes("key"), condition: condition)
    }

    private func operations(_ name: String) throws(HistoryError) -> [Operation] {
        try list(name).map { json throws(HistoryError) in
            try HistoryFields(json: json).operation()
        }
    }

    private func operation() throws(HistoryError) -> Operation {
        switch try requiredText("op") {
        case "put":
            return .put(
                key: try requiredBytes("key"), value: try requiredBytes("value"),
                condition: try ownCondition())
        case "delete":
            return .delete(key: try requiredBytes("key"), condition: try ownCondition())
        case "get": return .get(key: try requiredBytes("key"))
        case "deleteRange":
            return .deleteRange(from: try bytes("from") ?? Bytes(), to: try bytes("to"))
        default: throw .field("op")
        }
    }

    private func ownCondition() throws(HistoryError) -> Condition {
        guard let json = json["if"], json != .null else { return .none }
        guard let condition = try HistoryFields(json: json).conditionOfFields() else {
            throw .field("if")
        }
        return condition
    }

    /// What the operations gave, of the list that `succeeded` names.
    func results(
        of transaction: Transaction, succeeded: Bool?
    ) throws(HistoryError) -> [OperationResult] {
        guard let succeeded else { return [] }
        let operations = succeeded ? transaction.then : transaction.else
        let values = try list("results")
        guard values.count == operations.count else { throw .field("results") }
        var results: [OperationResult] = []
        for (operation, json) in zip(operations, values) {
            results.append(try HistoryFields(json: json).result(of: operation))
        }
        return results
    }

    private func result(of operation: Operation) throws(HistoryError) -> OperationResult {
        let found = try flag("found")
        guard try flag("ok") == true else {
            return .conditionFailed(current: try storedValue(isNull: found != true))
        }
        switch operation {
        case .get: return .value(try storedValue(isNull: found != true))
        case .delete:
            guard let found else { throw .field("found") }
            return .deleted(found: found)
        case .put, .deleteRange, .transaction, .raiseHistoryFloor, .contentDigest:
            return .written
        }
    }
}

extension Transaction {
    func addFields(to object: inout JSONObjectText) {
        object.add("if", list: conditions.map(\.jsonText))
        object.add("then", list: then.map(\.jsonText))
        object.add("else", list: `else`.map(\.jsonText))
    }
}

extension KeyCondition {
    fileprivate var jsonText: String {
        var object = JSONObjectText()
        object.add("key", bytes: key)
        object.add(fieldsOf: condition)
        return object.closed
    }
}

extension Operation {
    fileprivate var jsonText: String {
        var object = JSONObjectText()
        switch self {
        case .put(let key, let value, let condition):
            object.add("op", text: "put")
            object.add("key", bytes: key)
            object.add("value", bytes: value)
            object.add(ownCondition: condition)
        case .delete(let key, let condition):
            object.add("op", text: "delete")
            object.add("key", bytes: key)
            object.add(ownCondition: condition)
        case .get(let key):
            object.add("op", text: "get")
            object.add("key", bytes: key)
        case .deleteRange(let from, let to):
            object.add("op", text: "deleteRange")
            object.add("from", bytes: from)
            if let to { object.add("to", bytes: to) }
        case .transaction, .raiseHistoryFloor, .contentDigest:
            preconditionFailure("an operation that is no part of a transaction")
        }
        return object.closed
    }
}

extension OperationResult {
    var jsonText: String {
        var object = JSONObjectText()
        switch self {
        case .written: object.add("ok", raw: "true")
        case .deleted(let found):
            object.add("ok", raw: "true")
            object.add("found", raw: found ? "true" : "false")
        case .value(let value):
            object.add("ok", raw: "true")
            object.add(found: value)
        case .conditionFailed(let current):
            object.add("ok", raw: "false")
            object.add("error", text: "conditionFailed")
            object.add(found: current)
        }
        return object.closed
    }
}

extension StoredValue {
    var jsonText: String {
        var object = JSONObjectText()
        object.add("value", bytes: bytes)
        object.add("version", text: version.description)
        return object.closed
    }
}

extension JSONObjectText {
    fileprivate mutating func add(ownCondition condition: Condition) {
        guard condition != .none else { return }
        var object = JSONObjectText()
        object.add(fieldsOf: condition)
        add("if", raw: object.closed)
    }

    fileprivate mutating func add(fieldsOf condition: Condition) {
        switch condition {
        case .none: break
        case .absent: add("absent", raw: "true")
        case .present: add("present", raw: "true")
        case .version(let version): add("version", text: version.description)
        case .value(let bytes): add("value", bytes: bytes)
        }
    }

    fileprivate mutating func add(found value: StoredValue?) {
        add("found", raw: value == nil ? "false" : "true")
        guard let value else { return }
        add("value", bytes: value.bytes)
        add("version", text: value.version.description)
    }
}
