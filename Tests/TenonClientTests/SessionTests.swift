import TenonCore
import Testing

@testable import TenonClient

@Suite struct SessionAllocatorTests {
    private func allocator() -> SessionAllocator {
        SessionAllocator(client: ClientID(high: 1, low: 2))
    }

    @Test func `Sequences count up from one and carry the mark of their time`() throws {
        var sessions = allocator()
        let first = try sessions.opened(firstIssue: Timestamp(7))
        #expect(first.sequence == SequenceNumber(1))
        #expect(first.lowWaterMark == SequenceNumber(1))
        #expect(first.firstIssue == Timestamp(7))
        sessions.close(first.sequence)
        let second = try sessions.opened(firstIssue: Timestamp(8))
        #expect(second.sequence == SequenceNumber(2))
        #expect(second.lowWaterMark == SequenceNumber(2))
    }

    @Test func `The mark waits for the oldest open sequence and then jumps`() throws {
        var sessions = allocator()
        for _ in 1...5 { _ = try sessions.opened(firstIssue: .zero) }
        for sequence: UInt64 in [2, 3, 5] { sessions.close(SequenceNumber(sequence)) }
        #expect(sessions.lowWaterMark == SequenceNumber(1))
        sessions.close(SequenceNumber(1))
        #expect(sessions.lowWaterMark == SequenceNumber(4))
        sessions.close(SequenceNumber(4))
        #expect(sessions.lowWaterMark == SequenceNumber(6))
    }

    @Test func `A full window opens no sequence until the oldest closes`() throws {
        var sessions = allocator()
        for _ in 0..<SessionAllocator.windowMax {
            _ = try sessions.opened(firstIssue: .zero)
        }
        let refused = sessions.open(firstIssue: .zero)
        #expect(refused == nil)
        sessions.close(SequenceNumber(1))
        _ = try sessions.opened(firstIssue: .zero)
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `The mark is the lowest open sequence, whatever the order of endings`(seed: UInt64) throws
    {
        var random = SeededGenerator(seed: seed)
        var sessions = allocator()
        var open: Set<UInt64> = []
        var next: UInt64 = 1
        for _ in 0..<3_000 {
            if open.isEmpty || random.below(2) == 0 {
                let session = try sessions.opened(firstIssue: .zero)
                #expect(session.sequence.rawValue == next)
                open.insert(next)
                next += 1
            } else {
                let oldest = try #require(open.min())
                let some = oldest + random.below(min(next - oldest, 50))
                guard open.remove(some) != nil else { continue }
                sessions.close(SequenceNumber(some))
            }
            if random.below(100) == 0 {
                #expect(sessions.lowWaterMark.rawValue == open.min() ?? next)
            }
        }
    }

    @Test func `Closing a sequence twice traps`() async {
        await #expect(processExitsWith: .failure) {
            var sessions = SessionAllocator(client: ClientID(high: 1, low: 2))
            _ = sessions.open(firstIssue: .zero)
            _ = sessions.open(firstIssue: .zero)
            sessions.close(SequenceNumber(2))
            sessions.close(SequenceNumber(2))
        }
    }
}

@Suite struct ClusterClockTests {
    private func moment(_ milliseconds: Int) -> Instant { .zero + .milliseconds(milliseconds) }
    private func time(_ milliseconds: UInt64) -> Timestamp {
        Timestamp(WallTime(milliseconds: milliseconds))
    }

    @Test func `It goes on from the welcome with the monotonic clock`() {
        var clock = ClusterClock()
        #expect(clock.estimate(at: moment(50)) == .zero)
        clock.welcome(time(1_000_000), at: moment(100))
        #expect(clock.estimate(at: moment(350)) == time(1_000_250))
    }

    @Test func `A version far behind says that the cluster's time stands still`() {
        var clock = ClusterClock()
        clock.welcome(time(1_000_000), at: moment(0))
        clock.observe(time(1_000_500), at: moment(90_000))
        #expect(clock.estimate(at: moment(90_100)) == time(1_000_600))
    }

    @Test func `A version seen pulls it up, an older one does not pull it down`() {
        var clock = ClusterClock()
        clock.welcome(time(1_000_000), at: moment(0))
        clock.observe(time(1_000_500), at: moment(100))
        #expect(clock.estimate(at: moment(200)) == time(1_000_600))
        clock.observe(time(985_000), at: moment(300))
        #expect(clock.estimate(at: moment(300)) == time(1_000_700))
    }

    @Test func `A later welcome replaces what was reckoned`() {
        var clock = ClusterClock()
        clock.welcome(time(1_000_000), at: moment(0))
        clock.welcome(time(1_000_010), at: moment(50))
        #expect(clock.estimate(at: moment(50)) == time(1_000_010))
    }
}

extension SessionAllocator {
    /// Opens a sequence in a window that has room.
    fileprivate mutating func opened(firstIssue: Timestamp) throws -> Session {
        let session = open(firstIssue: firstIssue)
        return try #require(session)
    }
}
