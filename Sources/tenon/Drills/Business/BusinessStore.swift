import TenonClient
import TenonCore

/// What scenarios ask of a keyspace. A protocol, so that a test can hand them a store that loses
/// or changes something, and see them notice.
protocol BusinessStore: Sendable {
    func values(of keys: [Bytes], at version: Version?) async throws(TenonError) -> [StoredValue?]
    func putIfAbsent(_ key: Bytes, _ value: Bytes) async throws(TenonError)
    /// Whether the conditions held, and the operations were done: all at once.
    func commit(
        if conditions: [KeyCondition], then operations: [Operation]
    ) async throws(TenonError) -> Bool
    func page(
        of range: ScanRange, limit: Int, after token: ScanToken?
    ) async throws(TenonError) -> BusinessPage
}

/// Some items of a range, all of one version.
struct BusinessPage: Sendable {
    var items: [Item]
    /// Nil at the end.
    var next: ScanToken?
    var version: Version
}

extension BusinessStore {
    func value(of key: Bytes, at version: Version? = nil) async throws(TenonError) -> StoredValue? {
        try await values(of: [key], at: version)[0]
    }

    /// Every item whose key begins with `prefix`, as it stood at the version that comes along.
    func all(
        _ prefix: String, pageLimit: Int = 10_000
    ) async throws(TenonError) -> (items: [Item], version: Version) {
        var items: [Item] = []
        var page: BusinessPage?
        repeat {
            let next = try await self.page(
                of: ScanRange(prefix: Bytes(prefix)), limit: pageLimit, after: page?.next)
            items += next.items
            page = next
        } while page?.next != nil
        return (items, page?.version ?? .zero)
    }
}

extension Keyspace: BusinessStore {
    func values(
        of keys: [Bytes], at version: Version?
    ) async throws(TenonError) -> [StoredValue?] {
        try await getMany(keys, at: version, timeout: BusinessSuite.timeout)
    }

    func putIfAbsent(_ key: Bytes, _ value: Bytes) async throws(TenonError) {
        try await put(key, value, if: .absent, timeout: BusinessSuite.timeout)
    }

    func commit(
        if conditions: [KeyCondition], then operations: [Operation]
    ) async throws(TenonError) -> Bool {
        try await transaction(if: conditions, then: operations, timeout: BusinessSuite.timeout)
            .succeeded
    }

    func page(
        of range: ScanRange, limit: Int, after token: ScanToken?
    ) async throws(TenonError) -> BusinessPage {
        let page = try await scanPage(
            range, limit: limit, page: token, timeout: BusinessSuite.timeout)
        return BusinessPage(items: page.items, next: page.next, version: page.at.version)
    }
}
