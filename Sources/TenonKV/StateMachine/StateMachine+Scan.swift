package import TenonCore
package import TenonStore

/// A scan as a client asks for it, page by page.
package struct ScanRequest: Hashable, Sendable {
    /// The keys wanted; may reach over the tablet's borders.
    package var interval: KeyInterval
    package var isReversed: Bool
    /// Items of one page at most, 1 … ``Limits/scanItemsMax``.
    package var limit: Int
    /// Bytes of keys and values of one page at most; a page holds one item at least.
    package var bytesMax: Int
    /// The version to read at; nil: the newest. A page token's own version wins.
    package var version: Timestamp?
    /// What the page before gave; nil for the first.
    package var pageToken: Bytes?

    package init(
        _ interval: KeyInterval, isReversed: Bool = false, limit: Int = Limits.scanItemsMax,
        bytesMax: Int = Limits.scanBytesMax, version: Timestamp? = nil, pageToken: Bytes? = nil
    ) {
        self.interval = interval
        self.isReversed = isReversed
        self.limit = limit
        self.bytesMax = bytesMax
        self.version = version
        self.pageToken = pageToken
    }
}

/// One page of a scan.
package struct ScanAnswer: Hashable, Sendable {
    /// One key and what it has.
    package struct Item: Hashable, Sendable {
        package var key: Bytes
        package var value: StoredValue
    }

    package var items: [Item]
    package var at: Timestamp
    /// For the next page, encoded (``PageToken``); nil at the end of the interval. A page may be
    /// empty and still have one: keys that were deleted lay in the way, or the tablet ends.
    package var pageToken: Bytes?
}

extension StateMachine {
    /// One page. The server keeps nothing between pages: the token holds key and version, so all
    /// pages of a tablet show one version. At the tablet's border the token leads into the next
    /// tablet, at the newest version there. What does not touch the tablet is `outsideTablet`.
    package func scan(
        _ request: ScanRequest, blocks: PinnedBlocks
    ) -> StoreRead<Result<ScanAnswer, ReadError>> {
        switch place(of: request) {
        case .failure(let error): return .ready(.failure(error))
        case .success(let place):
            let inside = place.interval.clipped(to: bounds)
            guard !inside.isEmpty else {
                // A request that belongs to another tablet must not look like an empty page.
                guard place.interval.isEmpty else { return .ready(.failure(.outsideTablet)) }
                return .ready(.success(ScanAnswer(items: [], at: place.point.shown)))
            }
            let range = ScanRange(
                from: .user(inside.lower), to: inside.upper.map { .user($0) },
                reversed: request.isReversed,
                itemsMax: min(max(1, request.limit), Limits.scanItemsMax),
                bytesMax: min(max(1, request.bytesMax), Limits.scanBytesMax))
            switch store.scan(range, at: place.point.time, blocks: blocks) {
            case .needs(let read): return .needs(read)
            case .ready(let page):
                return .ready(.success(answer(page, place, isReversed: request.isReversed)))
            }
        }
    }

    /// What a request with its token asks for: the interval that is left, and the version.
    private struct ScanPlace {
        var interval: KeyInterval
        var point: ReadPoint
    }

    private func place(of request: ScanRequest) -> Result<ScanPlace, ReadError> {
        var interval = request.interval
        var version = request.version
        if let bytes = request.pageToken {
            guard let token = PageToken.decoded(bytes), token.isReversed == request.isReversed,
                token.key >= interval.lower, interval.upper.map({ token.key <= $0 }) ?? true
            else { return .failure(.badToken) }
            if request.isReversed { interval.upper = token.key } else { interval.lower = token.key }
            version = token.version ?? request.version
        }
        return point(of: version).map { ScanPlace(interval: interval, point: $0) }
    }

    private func answer(
        _ page: ScanPage, _ place: ScanPlace, isReversed: Bool
    ) -> ScanAnswer {
        let items = page.items.map {
            ScanAnswer.Item(key: $0.key.bytes, value: $0.stored)
        }
        let token: Bytes?
        if let rest = page.rest {
            let bound = isReversed ? rest.upper?.bytes : rest.lower.bytes
            token = bound.map {
                PageToken(key: $0, version: place.point.shown, isReversed: isReversed).encoded()
            }
        } else {
            token = borderToken(of: place.interval, isReversed: isReversed)
        }
        return ScanAnswer(items: items, at: place.point.shown, pageToken: token)
    }

    /// Leads over the tablet's border when `interval`, which touches the tablet, goes on behind
    /// it; nil when it does not.
    private func borderToken(of interval: KeyInterval, isReversed: Bool) -> Bytes? {
        let border: Bytes
        if isReversed {
            guard interval.lower < bounds.lower else { return nil }
            border = bounds.lower
        } else {
            guard let upper = bounds.upper, interval.upper.map({ $0 > upper }) ?? true else {
                return nil
            }
            border = upper
        }
        return PageToken(key: border, version: nil, isReversed: isReversed).encoded()
    }
}

extension PageToken {
    /// Nil for what is no token.
    fileprivate static func decoded(_ bytes: Bytes) -> PageToken? {
        do throws(DecodingError) {
            return try PageToken(bytes)
        } catch {
            return nil
        }
    }
}
