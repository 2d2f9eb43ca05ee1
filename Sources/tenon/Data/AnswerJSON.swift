import Foundation
import TenonClient
import TenonCore

/// Answers as `tenon pipe` gives them and `--json` prints them: `Docs/Protocol.md` is the text.
enum AnswerJSON {
    /// The answer to a put.
    static func written(_ written: Stood<Version>) -> JSON {
        ok([.init("version", version(written.value))], at: written.at)
    }

    /// The answer to a get.
    static func got(_ read: Stood<StoredValue?>) -> JSON {
        ok(members(of: read.value), at: read.at, read.age)
    }

    /// The answer to a getMany: keys of several tablets stood at points of their own, which their
    /// items tell; `at` is that of the first.
    static func gotMany(_ reads: [Stood<StoredValue?>]) -> JSON {
        let isOfOneTablet = Set(reads.map(\.at)).count <= 1
        let items = reads.map { read in
            JSON.object(
                members(of: read.value) + (isOfOneTablet ? [] : [.init("at", point(read.at))]))
        }
        guard let first = reads.first else { return ok([.init("items", .array([]))], at: nil) }
        return ok(
            [.init("items", .array(items))], at: first.at, ReadAge.oldest(reads.map(\.age)))
    }

    /// The answer to a delete.
    static func deleted(_ deleted: DeleteResult) -> JSON {
        ok(
            [.init("version", version(deleted.version)), .init("found", .bool(deleted.found))],
            at: deleted.at)
    }

    /// The answer to a deleteRange; `points` where it touched several tablets.
    static func deletedRange(_ deleted: RangeDeletion) -> JSON {
        var members = [JSON.Member("version", version(deleted.version))]
        if deleted.points.count > 1 {
            members.append(.init("points", .array(deleted.points.map(point))))
        }
        return ok(members, at: deleted.at)
    }

    /// The answer to a scan.
    static func page(_ page: ScanPage) -> JSON {
        let items = page.items.map { item in
            JSON.object(
                [bytes("key", item.key), bytes("value", item.value.bytes)]
                    + [.init("version", version(item.value.version))])
        }
        var members = [JSON.Member("items", .array(items))]
        if let next = page.next {
            members.append(.init("page", .string(Base64.encode(next.bytes))))
        }
        return ok(members, at: page.at, page.age)
    }

    /// The answer to a transaction.
    static func transacted(_ transaction: TransactionResult) -> JSON {
        ok(
            [
                .init("succeeded", .bool(transaction.succeeded)),
                .init("results", .array(transaction.results.map(result))),
                .init("version", version(transaction.version)),
            ], at: transaction.at)
    }

    /// The answer that tells of an error.
    static func failure(_ error: TenonError) -> JSON {
        var members: [JSON.Member] = [
            .init("ok", false), .init("error", .string(error.kind.description)),
            .init("outcome", .string(error.outcome.rawValue)),
            .init("message", .string(error.message)),
        ]
        if let retryAfter = error.retryAfter {
            let (seconds, atto) = retryAfter.components
            members.append(
                .init("retryAfterMs", .integer(seconds * 1_000 + atto / 1_000_000_000_000_000)))
        }
        if error.kind == .conditionFailed { members += self.members(of: error.current) }
        if let at = error.at { members.append(.init("at", point(at))) }
        return .object(members)
    }

    /// The page token that a text gives.
    static func token(_ text: String) throws(TenonError) -> ScanToken {
        guard let bytes = Base64.decode(text) else {
            throw TenonError(.invalid, .notApplied, "this is no page token of a scan")
        }
        return try ScanToken(bytes: bytes)
    }

    private static func ok(
        _ members: [JSON.Member], at point: Point?, _ age: ReadAge = .newest
    ) -> JSON {
        .object(
            [.init("ok", true)] + members + (point.map { [.init("at", self.point($0))] } ?? [])
                + stale(age))
    }

    /// How old what was read may be; null when that is not known.
    private static func stale(_ age: ReadAge) -> [JSON.Member] {
        switch age {
        case .newest: []
        case .within(let milliseconds):
            [.init("stale", ["withinMs": .integer(UInt64(milliseconds))])]
        case .unknown: [.init("stale", ["withinMs": .null])]
        }
    }

    private static func members(of value: StoredValue?) -> [JSON.Member] {
        guard let value else { return [.init("found", false)] }
        return [
            .init("found", true), bytes("value", value.bytes),
            .init("version", version(value.version)),
        ]
    }

    private static func result(_ result: OperationResult) -> JSON {
        switch result {
        case .written: ["ok": true]
        case .deleted(let found): ["ok": true, "found": .bool(found)]
        case .value(let value): .object([.init("ok", true)] + members(of: value))
        case .conditionFailed(let current):
            .object(
                [.init("ok", false), .init("error", "conditionFailed")] + members(of: current))
        }
    }

    private static func point(_ point: Point) -> JSON {
        ["tablet": .integer(point.tablet.rawValue), "version": version(point.version)]
    }

    /// A string: a JSON number of 64 bits would be rounded by most readers.
    private static func version(_ version: Version) -> JSON { .string(String(version.rawValue)) }

    /// Text under `name`, other bytes in base64 under `name` and 64.
    static func bytes(_ name: String, _ bytes: Bytes) -> JSON.Member {
        if let text = bytes.utf8Text { return .init(name, .string(text)) }
        return .init(name + "64", .string(Base64.encode(bytes)))
    }
}

/// Base64 of RFC 4648, section 4, with padding.
enum Base64 {
    /// The text for these bytes.
    static func encode(_ bytes: Bytes) -> String { Data(bytes.array).base64EncodedString() }

    /// The bytes of a text; nil when it is none.
    static func decode(_ text: String) -> Bytes? {
        Data(base64Encoded: text).map { Bytes(Array($0)) }
    }
}
