internal import TenonCore

/// Histories as files: ndjson, one operation a line; the fields are drawn at ``HistoryOperation``.
package enum HistoryFile {
    /// The longest line that is read: a scan's page in base64 and its frame.
    package static let lineBytesMax = 16 << 20

    /// The lines of `operations`, each with its line feed.
    package static func encode(_ operations: [HistoryOperation]) -> [UInt8] {
        var bytes: [UInt8] = []
        for operation in operations { append(operation, to: &bytes) }
        return bytes
    }

    /// Appends the line of one operation: for writers that go along with a run.
    package static func append(_ operation: HistoryOperation, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: operation.jsonText.utf8)
        bytes.append(0x0A)
    }

    /// The operations of a whole file. Empty lines are skipped.
    package static func decode(_ bytes: [UInt8]) throws(HistoryError) -> [HistoryOperation] {
        var operations: [HistoryOperation] = []
        var lineNumber = 0
        for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            lineNumber += 1
            guard !line.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) else { continue }
            do throws(HistoryError) {
                operations.append(try decodeLine(Array(line)))
            } catch {
                throw .line(lineNumber, error)
            }
        }
        return operations
    }

    /// The operation of one line.
    package static func decodeLine(_ line: [UInt8]) throws(HistoryError) -> HistoryOperation {
        guard line.count <= lineBytesMax else { throw .field("line of \(line.count) B") }
        return try HistoryOperation(json: try JSONScanner.value(of: line))
    }
}

extension HistoryOperation {
    /// The line of this operation, without its end.
    fileprivate var jsonText: String {
        var object = JSONObjectText()
        object.add("p", raw: String(worker))
        object.add("t0", raw: String(sentAt.nanoseconds))
        object.add("t1", raw: answeredAt.map { String($0.nanoseconds) } ?? "null")
        addAction(to: &object)
        object.add("res", text: result.rawValue)
        switch read {
        case nil: break
        case .absent: object.add("read", raw: "null")
        case .value(let bytes): object.add("read", bytes: bytes)
        }
        if let version { object.add("version", text: version.description) }
        if let found { object.add("found", raw: found ? "true" : "false") }
        if let at {
            let text = "{\"tablet\":\(at.tablet),\"version\":\"\(at.version)\"}"
            object.add("at", raw: text)
        }
        if let asOf { object.add("asOf", text: asOf.description) }
        if let rest { object.add("rest", bytes: rest) }
        addResults(to: &object)
        return object.closed
    }

    private func addAction(to object: inout JSONObjectText) {
        object.add("op", text: name)
        switch action {
        case .get(let key), .delete(let key): object.add("key", bytes: key)
        case .put(let key, let value):
            object.add("key", bytes: key)
            object.add("value", bytes: value)
        case .compareAndSet(let key, let value, let expect):
            object.add("key", bytes: key)
            object.add("value", bytes: value)
            object.add(expectation: expect)
        case .scan(let from, let to, let limit, let isReverse):
            object.add("from", bytes: from)
            if let to { object.add("to", bytes: to) }
            if let limit { object.add("limit", raw: String(limit)) }
            if isReverse { object.add("reverse", raw: "true") }
            object.add("items", list: items.map(\.jsonText))
        case .deleteRange(let from, let to):
            object.add("from", bytes: from)
            if let to { object.add("to", bytes: to) }
        case .compareAndDelete(let key, let expect):
            object.add("key", bytes: key)
            object.add(expectation: expect)
        case .getMany(let keys):
            object.add(keys: keys)
            object.add("values", list: values.map { $0?.jsonText ?? "null" })
        case .transaction(let transaction): transaction.addFields(to: &object)
        case .other: break
        }
    }

    /// What the operations of a transaction gave.
    private func addResults(to object: inout JSONObjectText) {
        guard case .transaction = action, let succeeded else { return }
        object.add("succeeded", raw: succeeded ? "true" : "false")
        object.add("results", list: results.map(\.jsonText))
    }

    private var name: String {
        switch action {
        case .get: "get"
        case .put: "put"
        case .delete, .compareAndDelete: "delete"
        case .getMany: "getMany"
        case .transaction: "txn"
        case .compareAndSet: "cas"
        case .scan: "scan"
        case .deleteRange: "deleteRange"
        case .other(let name): name
        }
    }
}

extension HistoryOperation.Item {
    fileprivate var jsonText: String {
        var object = JSONObjectText()
        object.add("key", bytes: key)
        object.add("value", bytes: value)
        if let version { object.add("version", text: version.description) }
        return object.closed
    }
}
