public import TenonCore
internal import TenonWire

/// What a scan goes over.
public struct ScanRange: Hashable, Sendable {
    /// The first key.
    public var from: Bytes
    /// The key to stop before; nil for the end of the keyspace.
    public var to: Bytes?
    /// Whether the last key comes first.
    public var isReversed: Bool

    /// The keys from `from` up to and without `to`.
    public init(from: Bytes = Bytes(), to: Bytes? = nil, isReversed: Bool = false) {
        self.from = from
        self.to = to
        self.isReversed = isReversed
    }

    /// The keys that begin with `prefix`.
    public init(prefix: Bytes, isReversed: Bool = false) {
        self.init(from: prefix, to: prefix.prefixSuccessor, isReversed: isReversed)
    }
}

extension Keyspace {
    /// Keys of a page when nobody says how many.
    public static let pageLimit = 1_000

    /// One page of keys in order, of one tablet. Each page but one within a version is
    /// linearizable; pages of the same tablet are of the version of the first.
    ///
    /// - Parameters:
    ///   - staleness: as of ``get(_:at:staleness:timeout:)``; give it with each page anew.
    ///   - page: what the page before gave as ``ScanPage/next``; nil for the first.
    /// - Throws: ``TenonError/Kind/invalid`` for an empty range, a limit out of 1...10,000 or a
    ///   token of another scan, ``TenonError/Kind/historyGone``, and as
    ///   ``get(_:at:staleness:timeout:)``.
    public func scanPage(
        _ range: ScanRange = ScanRange(), limit: Int = Keyspace.pageLimit,
        at version: Version? = nil, staleness: Staleness = .none, page: ScanToken? = nil,
        timeout: Duration? = nil
    ) async throws(TenonError) -> ScanPage {
        try Keyspace.check(from: range.from, to: range.to)
        guard (1...Limits.scanItemsMax).contains(limit) else {
            throw TenonError(
                .invalid, .notApplied, "a limit of \(limit); it is 1 to \(Limits.scanItemsMax)")
        }
        let deadline = client.deadline(after: timeout)
        return try await following { () async throws(TenonError) in
            try await self.page(of: range, limit, version, staleness, page, deadline)
        }
    }

    private func page(
        of range: ScanRange, _ limit: Int, _ version: Version?, _ staleness: Staleness,
        _ page: ScanToken?, _ deadline: Instant
    ) async throws(TenonError) -> ScanPage {
        let tablet = try Keyspace.tablet(of: range, page, in: try await tablets(deadline))
        let part = tablet.part(from: range.from, to: range.to)
        var request = ScanRequest(
            from: part.from, to: part.to, limit: limit, isReversed: range.isReversed, at: version,
            staleness: staleness)
        if case .within(_, let token)? = page?.place { request.page = token }
        let answer = try await client.perform(
            .ask(.scan(request)), .part(tablet.id, tablet.generation), deadline: deadline)
        guard case .page(let items, let next, let point) = answer else {
            throw answer.isOfTheWrongKind
        }
        return ScanPage(
            items: items.map { Item(key: $0.key, value: $0.value) },
            next: next.map { ScanToken(.within(tablet.id, token: $0)) }
                ?? Keyspace.border(of: tablet, range),
            at: Point(point), age: point.age)
    }

    /// The keys of a range, page by page as they are asked for.
    ///
    /// ```swift
    /// for try await item in accounts.scan(ScanRange(prefix: "a")) { … }
    /// ```
    /// - Parameter timeout: of each page.
    public func scan(
        _ range: ScanRange = ScanRange(), pageLimit: Int = Keyspace.pageLimit,
        at version: Version? = nil, staleness: Staleness = .none, timeout: Duration? = nil
    ) -> Scan {
        Scan(
            pages: ScanPages(
                keyspace: self, range: range, limit: pageLimit, version: version,
                staleness: staleness, timeout: timeout))
    }

    /// Where each tablet of a range stands now, in the order of keys: everything acknowledged
    /// before is at or below these versions.
    package func points(
        of range: ScanRange, timeout: Duration? = nil
    ) async throws(TenonError) -> [Point] {
        let deadline = client.deadline(after: timeout)
        return try await following { () async throws(TenonError) in
            var points: [Point] = []
            for tablet in try await tablets(deadline)
            where tablet.overlaps(from: range.from, to: range.to) {
                points.append(try await point(of: tablet, range, deadline))
            }
            return points
        }
    }

    private func point(
        of tablet: TabletDescriptor, _ range: ScanRange, _ deadline: Instant
    ) async throws(TenonError) -> Point {
        let part = tablet.part(from: range.from, to: range.to)
        let answer = try await client.perform(
            .ask(.scan(ScanRequest(from: part.from, to: part.to, limit: 1))),
            .part(tablet.id, tablet.generation), deadline: deadline)
        guard case .page(_, _, let point) = answer else { throw answer.isOfTheWrongKind }
        return Point(point)
    }

    /// The tablet that the next page is of.
    private static func tablet(
        of range: ScanRange, _ page: ScanToken?, in tablets: [TabletDescriptor]
    ) throws(TenonError) -> TabletDescriptor {
        let found: TabletDescriptor? =
            switch page?.place {
            case .within(let id, let token):
                Keyspace.place(of: token).map {
                    Keyspace.tablet(at: $0, range.isReversed, in: tablets)
                } ?? tablets.first { $0.id == id }
            case .border(let key): Keyspace.tablet(at: key, range.isReversed, in: tablets)
            case nil where range.isReversed:
                Keyspace.tablet(at: range.to, true, in: tablets)
            case nil: Keyspace.tablet(at: range.from, false, in: tablets)
            }
        guard let found, found.overlaps(from: range.from, to: range.to) else {
            throw TenonError(.invalid, .notApplied, "the page token does not fit the range")
        }
        return found
    }

    /// Where a node's token goes on: a split may have given that key to another tablet. Nil for what
    /// is no token, which the node says.
    private static func place(of token: Bytes) -> Bytes? {
        do throws(DecodingError) {
            return try PageToken(token).key
        } catch {
            return nil
        }
    }

    /// Forward: the tablet that holds `key`. Backward: the one that holds what is right below it
    /// (nil: the end).
    private static func tablet(
        at key: Bytes?, _ isReversed: Bool, in tablets: [TabletDescriptor]
    ) -> TabletDescriptor? {
        guard let key else { return tablets.last }
        return isReversed
            ? tablets.last { $0.lower < key } : tablets.last { $0.lower <= key }
    }

    /// Where a scan that has finished a tablet goes on; nil when it has finished its range.
    private static func border(of tablet: TabletDescriptor, _ range: ScanRange) -> ScanToken? {
        if range.isReversed {
            return tablet.lower > range.from ? ScanToken(.border(tablet.lower)) : nil
        }
        guard let upper = tablet.upper else { return nil }
        if let to = range.to, to <= upper { return nil }
        return ScanToken(.border(upper))
    }
}

/// The pages of a scan, each asked for when it is wanted.
public struct ScanPages: AsyncSequence, Sendable {
    /// A page.
    public typealias Element = ScanPage
    /// What a page may throw.
    public typealias Failure = TenonError

    let keyspace: Keyspace
    let range: ScanRange
    let limit: Int
    let version: Version?
    let staleness: Staleness
    let timeout: Duration?

    /// An iterator at the first page.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pages: self) }

    /// Asks for one page after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let pages: ScanPages
        private var token: ScanToken?
        private var isAtEnd = false

        init(pages: ScanPages) { self.pages = pages }

        /// The next page; nil after the last.
        public mutating func next() async throws(TenonError) -> ScanPage? {
            guard !isAtEnd else { return nil }
            let page = try await pages.keyspace.scanPage(
                pages.range, limit: pages.limit, at: pages.version, staleness: pages.staleness,
                page: token, timeout: pages.timeout)
            token = page.next
            isAtEnd = page.next == nil
            return page
        }
    }
}

/// The keys of a scan, in order.
public struct Scan: AsyncSequence, Sendable {
    /// A key and its value.
    public typealias Element = Item
    /// What a page may throw.
    public typealias Failure = TenonError

    /// The same scan, page by page.
    public let pages: ScanPages

    /// An iterator at the first key.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(pages: pages.makeAsyncIterator())
    }

    /// Gives one key after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private var pages: ScanPages.AsyncIterator
        private var items: [Item] = []
        private var place = 0

        init(pages: ScanPages.AsyncIterator) { self.pages = pages }

        /// The next key; nil after the last.
        public mutating func next() async throws(TenonError) -> Item? {
            while place == items.count {
                guard let page = try await pages.next() else { return nil }
                items = page.items
                place = 0
            }
            place += 1
            return items[place - 1]
        }
    }
}
