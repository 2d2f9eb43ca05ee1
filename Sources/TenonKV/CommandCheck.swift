package import TenonCore

/// What the leader knows of a command that it may propose.
package struct CheckedCommand: Hashable, Sendable {
    package var session: Session?
    /// Keys that are read when it is applied; their blocks are fetched first (Rule S9). Empty for
    /// a plain put.
    package var keysRead: [Bytes]
}

/// Who sent a command.
package enum CommandOrigin: Sendable {
    case client
    /// The leader itself, or an operator through it.
    case leader
}

extension StateMachine {
    /// Checks an encoded command before it is proposed: everything that would make it fail or be
    /// refused on every replica, so that it costs no entry. Copies nothing.
    ///
    /// - Parameter bounds: the tablet's keys. A deleteRange is clipped to them when it is applied
    ///   and need only touch them.
    /// - Complexity: O(1) but for a transaction's operations; key and value are not read.
    package static func validate(
        _ command: Bytes, bounds: KeyInterval, from origin: CommandOrigin = .client
    ) throws(CommandRefusal) -> CheckedCommand {
        var reader = ByteReader(command)
        let header: CommandHeader
        let operation: Operation
        do throws(DecodingError) {
            header = try CommandHeader(from: &reader)
            operation = try Operation(kind: header.kind, from: &reader)
            try reader.finish()
        } catch {
            throw .malformed(error)
        }
        try check(header, origin)
        try check(operation, in: bounds)
        let bound =
            if case .transaction = operation { Limits.transactionBytesMax } else {
                Limits.commandBytesMax
            }
        guard command.count <= bound else { throw .tooLarge(bytes: command.count, bound: bound) }
        return CheckedCommand(session: header.session, keysRead: CommandReads.keys(of: operation))
    }

    private static func check(
        _ header: CommandHeader, _ origin: CommandOrigin
    ) throws(CommandRefusal) {
        switch header.kind {
        case .put, .delete, .deleteRange, .transaction: break
        case .raiseHistoryFloor, .contentDigest:
            guard origin == .leader else { throw .notForClients }
        case .get: throw .notForClients
        }
        guard let session = header.session else {
            if origin == .client { throw .noSession }
            return
        }
        guard session.sequence >= session.lowWaterMark else { throw .sessionBelowMark }
    }

    private static func check(
        _ operation: Operation, in bounds: KeyInterval
    ) throws(CommandRefusal) {
        switch operation {
        case .put(let key, _, _), .delete(let key, _), .get(let key): try check(key, in: bounds)
        case .deleteRange(let from, let to):
            let interval = KeyInterval(lower: from, upper: to)
            guard !interval.clipped(to: bounds).isEmpty || interval.isEmpty else {
                throw .outsideTablet(key: from)
            }
        case .transaction(let transaction):
            for condition in transaction.conditions { try check(condition.key, in: bounds) }
            for operations in [transaction.then, transaction.else] {
                // Lists hold no transactions, so this goes one level deep.
                for operation in operations { try check(operation, in: bounds) }
            }
        case .raiseHistoryFloor, .contentDigest: break
        }
    }

    private static func check(_ key: Bytes, in bounds: KeyInterval) throws(CommandRefusal) {
        guard bounds.contains(key) else { throw .outsideTablet(key: key) }
    }
}
