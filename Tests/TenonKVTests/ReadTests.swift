import TenonCore
import TenonKV
import TenonStore
import Testing

@Suite("Reads")
struct ReadTests {
    @Test("A read at a version sees what stood there")
    func history() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        let first = tablet.state.lastVersion
        try tablet.apply(.put("a", "2"))
        let second = tablet.state.lastVersion
        try tablet.apply(.delete("a"))
        #expect(try tablet.value("a", at: first) == "1")
        #expect(try tablet.value("a", at: second) == "2")
        #expect(try tablet.value("a") == nil)
        #expect(try tablet.get("a", at: first).get().at == first)
        #expect(try tablet.value("a", at: Timestamp(first.rawValue - 1)) == nil)
    }

    @Test("Below the floor history is gone, whatever files still hold")
    func historyGone() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        let first = tablet.state.lastVersion
        try tablet.apply(.put("a", "2"))
        let floor = tablet.state.lastVersion
        try tablet.apply(.raiseHistoryFloor(to: floor))
        let gone = ReadError.historyGone(floor: floor)
        #expect(throws: gone) { try tablet.get("a", at: first).get() }
        #expect(throws: gone) { try tablet.getMany(["a"], at: first).get() }
        #expect(throws: gone) { try tablet.scan(ScanRequest(.everything, version: first)).get() }
        #expect(try tablet.contentDigest(at: first) == nil)
        #expect(try tablet.value("a", at: floor) == "2")
    }

    @Test("A read ahead of the clock waits until the clock has moved")
    func ahead() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"))
        let last = tablet.state.lastVersion
        let future = last.advanced(by: 100)
        #expect(throws: ReadError.ahead(last: last)) { try tablet.get("a", at: future).get() }
        tablet.state.observe(future)
        #expect(try tablet.get("a", at: future).get().at == future)
        #expect(throws: ReadError.ahead(last: last)) { try tablet.get("a", at: future.next).get() }
    }

    @Test("A getMany answers in the order of its keys, at one version")
    func many() throws {
        let tablet = try TabletHarness()
        try tablet.apply(.put("a", "1"), .put("c", "3"))
        let answer = try tablet.getMany(["c", "b", "a", "c"]).get()
        #expect(answer.values.map { $0?.bytes } == ["3", nil, "1", "3"])
        #expect(answer.at == tablet.state.lastVersion)
    }

    @Test("A getMany over the bound of an answer is refused")
    func manyTooLarge() throws {
        var configuration = StateMachine.Configuration()
        configuration.answerBytesMax = 100
        let tablet = try TabletHarness(configuration: configuration)
        try tablet.apply(.put("a", Bytes([UInt8](repeating: 0, count: 60))))
        #expect(try tablet.getMany(["a"]).get().values.count == 1)
        #expect(throws: ReadError.tooLarge(bytes: 120, bound: 100)) {
            try tablet.getMany(["a", "a"]).get()
        }
    }

    @Test("Keys outside the tablet are refused")
    func outside() throws {
        let tablet = try TabletHarness(bounds: KeyInterval(lower: "b", upper: "m"))
        for key: Bytes in ["a", "m", ""] {
            #expect(throws: ReadError.outsideTablet) { try tablet.get(key).get() }
            #expect(throws: ReadError.outsideTablet) { try tablet.getMany(["b", key]).get() }
        }
    }
}

@Suite("Scans")
struct ScanTests {
    private func filled(_ bounds: KeyInterval = .everything) throws -> TabletHarness {
        let tablet = try TabletHarness(bounds: bounds)
        try tablet.apply((0..<30).map { Command(operation: .put(key($0), Bytes("\($0)"))) })
        return tablet
    }
    private func key(_ number: Int) -> Bytes { Bytes([UInt8(ascii: "k"), UInt8(number)]) }

    @Test("Pages in both directions give every key once, in order", arguments: [1, 7, 30, 100])
    func paging(limit: Int) throws {
        let tablet = try filled()
        let interval = KeyInterval(lower: key(3), upper: key(25))
        let forward = try tablet.scanAll(ScanRequest(interval, limit: limit))
        #expect(forward.map(\.key) == (3..<25).map { key($0) })
        let backward = try tablet.scanAll(ScanRequest(interval, isReversed: true, limit: limit))
        #expect(backward.map(\.key) == (3..<25).reversed().map { key($0) })
    }

    @Test("A page ends before it passes its bytes, but holds one item")
    func pageBytes() throws {
        let tablet = try filled()
        let page = try tablet.scan(ScanRequest(.everything, bytesMax: 7)).get()
        #expect(page.items.count == 2)
        #expect(try tablet.scan(ScanRequest(.everything, bytesMax: 1)).get().items.count == 1)
        #expect(try tablet.scanAll(ScanRequest(.everything, bytesMax: 1)).count == 30)
    }

    @Test("All pages show the version of the first")
    func oneVersion() throws {
        let tablet = try filled()
        var request = ScanRequest(.everything, limit: 10)
        let first = try tablet.scan(request).get()
        try tablet.apply(.deleteRange(from: "", to: nil))
        request.pageToken = first.pageToken
        let second = try tablet.scan(request).get()
        #expect(second.items.map(\.key) == (10..<20).map { key($0) })
        #expect(second.at == first.at)
        #expect(try tablet.scan(ScanRequest(.everything)).get().items.isEmpty)
        try tablet.apply(.raiseHistoryFloor(to: tablet.state.lastVersion))
        #expect(throws: ReadError.historyGone(floor: tablet.state.historyFloor)) {
            try tablet.scan(request).get()
        }
    }

    @Test("At the tablet's border the token leads into the next tablet, at its newest version")
    func borders() throws {
        let tablet = try filled(KeyInterval(lower: "b", upper: "m"))
        let forward = try tablet.scan(ScanRequest(KeyInterval(lower: "a", upper: "z"))).get()
        #expect(forward.items.count == 30)
        let next = try PageToken(try #require(forward.pageToken))
        #expect(next == PageToken(key: "m", version: nil, isReversed: false))
        let backward = try tablet.scan(
            ScanRequest(KeyInterval(lower: "a", upper: "z"), isReversed: true)
        ).get()
        let before = try PageToken(try #require(backward.pageToken))
        #expect(before == PageToken(key: "b", version: nil, isReversed: true))
        // In the next tablet the token starts at the border.
        let neighbour = try TabletHarness(bounds: KeyInterval(lower: "m", upper: nil))
        try neighbour.apply(.put("n", "1"), .put("z", "1"))
        let rest = try neighbour.scan(
            ScanRequest(KeyInterval(lower: "a", upper: "z"), pageToken: forward.pageToken)
        ).get()
        #expect(rest.items.map(\.key) == ["n"])
        #expect(rest.pageToken == nil)
        #expect(rest.at == neighbour.state.lastVersion)
    }

    @Test("A scan inside the tablet ends without a token")
    func inside() throws {
        let tablet = try filled(KeyInterval(lower: "b", upper: "m"))
        for isReversed in [false, true] {
            let interval = KeyInterval(lower: "b", upper: "m")
            let page = try tablet.scan(ScanRequest(interval, isReversed: isReversed)).get()
            #expect(page.pageToken == nil)
        }
    }

    @Test("A damaged or foreign token is refused")
    func badTokens() throws {
        let tablet = try filled()
        let page = try tablet.scan(ScanRequest(.everything, limit: 3)).get()
        let token = try #require(page.pageToken)
        for place in 0..<token.count * 8 {
            var bytes = token.array
            bytes[place / 8] ^= 1 << UInt8(place % 8)
            let request = ScanRequest(.everything, pageToken: Bytes(bytes))
            #expect(throws: ReadError.badToken) { try tablet.scan(request).get() }
        }
        for count in 0..<token.count {
            let request = ScanRequest(.everything, pageToken: token[0..<count])
            #expect(throws: ReadError.badToken) { try tablet.scan(request).get() }
        }
        let reversed = ScanRequest(.everything, isReversed: true, pageToken: token)
        #expect(throws: ReadError.badToken) { try tablet.scan(reversed).get() }
        let other = ScanRequest(KeyInterval(lower: "x"), pageToken: token)
        #expect(throws: ReadError.badToken) { try tablet.scan(other).get() }
    }

    @Test("The bytes of a token are fixed")
    func goldenToken() {
        let token = PageToken(key: "k", version: Timestamp(0x0102), isReversed: true).encoded()
        let body: [UInt8] = [1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x6B]
        let checksum = CRC32C(body).rawValue
        let trailer = (0..<4).map { UInt8(truncatingIfNeeded: checksum >> UInt32($0 * 8)) }
        #expect(token.array == body + trailer)
    }
}
