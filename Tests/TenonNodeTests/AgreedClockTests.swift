import TenonCore
import Testing

@testable import TenonNode

/// The clocks of a few nodes that ask each other, under a monotonic time of their own.
private struct ClockGroup {
    var clocks: [AgreedClock]
    /// What each wall clock is ahead by, in milliseconds.
    var errors: [Int64]
    /// What each monotonic clock is ahead by, in milliseconds.
    var monotonicErrors: [UInt64]
    /// The nodes that neither ask nor answer, by rank.
    var silent: Set<Int> = []
    private(set) var milliseconds: UInt64 = 5_000_000
    static let epoch: UInt64 = 1_700_000_000_000
    static let hour: Int64 = 3_600_000
    static let decade: Int64 = 315_360_000_000

    init(_ count: Int) {
        clocks = (1...count).map { ClockGroup.fresh($0, of: count) }
        errors = Array(repeating: 0, count: count)
        monotonicErrors = Array(repeating: 0, count: count)
    }

    private static func fresh(_ number: Int, of count: Int, floor: UInt64 = 0) -> AgreedClock {
        AgreedClock(
            me: NodeID(UInt32(number)), members: (1...count).map { NodeID(UInt32($0)) },
            floor: WallTime(milliseconds: floor))
    }

    mutating func restart(_ rank: Int, floor: UInt64 = 0) {
        clocks[rank] = ClockGroup.fresh(rank + 1, of: clocks.count, floor: floor)
    }

    func now(_ rank: Int) -> Instant {
        Instant(nanoseconds: (milliseconds + monotonicErrors[rank]) * 1_000_000)
    }

    /// The right time.
    var right: UInt64 { ClockGroup.epoch + milliseconds }

    mutating func observe() {
        for rank in clocks.indices {
            let wall = UInt64(Int64(right) + errors[rank])
            clocks[rank].observe(WallTime(milliseconds: wall), at: now(rank))
            _ = clocks[rank].time(at: now(rank))
        }
    }

    /// `asker` asks `other`; the answer takes `roundTrip`.
    mutating func ask(_ asker: Int, _ other: Int, roundTrip: UInt64 = 2) {
        let askedAt = now(asker)
        let answer = clocks[other].answer(toQuestionAt: askedAt, now: now(other))
        milliseconds += roundTrip
        observe()
        clocks[asker].heard(answer, from: NodeID(UInt32(other + 1)), at: now(asker))
    }

    /// Everybody who is not silent asks everybody else, once a tenth of a second.
    mutating func pass(seconds: Double) {
        for _ in 0..<Int(seconds * 10) {
            milliseconds += 100
            observe()
            for asker in clocks.indices where !silent.contains(asker) {
                for other in clocks.indices where other != asker && !silent.contains(other) {
                    ask(asker, other, roundTrip: 0)
                }
                clocks[asker].tick(at: now(asker))
            }
        }
    }

    var stoppedCount: Int { clocks.count { $0.state.isStopped } }

    mutating func accept(_ rank: Int) -> Bool { clocks[rank].accept(at: now(rank)) }

    func time(_ rank: Int) -> UInt64? {
        var clock = clocks[rank]
        return clock.time(at: now(rank))?.milliseconds
    }

    /// How far the time of a node is ahead of the right one.
    func error(_ rank: Int) -> Int64? {
        time(rank).map { Int64($0) - Int64(right) }
    }

    /// How far ahead of the right time an entry may be that a voter acknowledges.
    func tolerance(_ rank: Int) -> Int64 {
        let latest = clocks[rank].latestAcknowledged(at: now(rank)).wallTime.milliseconds
        return Int64(latest) - Int64(right)
    }
}

@Suite("Agreed clock")
struct AgreedClockTests {
    @Test func `a node alone goes by its own clock`() {
        var group = ClockGroup(1)
        #expect(group.time(0) == nil)
        group.observe()
        #expect(group.error(0) == 0)
        group.errors = [300]
        group.observe()
        #expect(group.error(0) == 300)
        #expect(group.tolerance(0) == 800)
    }

    @Test func `there is no time before a majority of clocks is known`() {
        var group = ClockGroup(3)
        group.silent = [1, 2]
        group.pass(seconds: 5)
        #expect(group.time(0) == nil)
        #expect(!group.clocks[0].state.isKnown)
        // Nothing is acknowledged but what is a logical step.
        #expect(group.clocks[0].latestAcknowledged(at: group.now(0)) == .zero)
        group.silent = []
        group.pass(seconds: 0.2)
        #expect(group.error(0) == 0)
    }

    @Test func `a majority waits a second for the others before it takes what it has`() {
        var group = ClockGroup(3)
        group.silent = [2]
        group.pass(seconds: 0.8)
        #expect(group.time(0) == nil)
        group.pass(seconds: 0.6)
        #expect(group.error(0) == 0)
    }

    @Test(arguments: [ClockGroup.hour, -ClockGroup.hour, ClockGroup.decade, 3_000, -3_000])
    func `a minority of wrong clocks moves nothing, and knows that it is wrong`(step: Int64) {
        for count in [3, 5] {
            var group = ClockGroup(count)
            group.pass(seconds: 2)
            for rank in 0..<(count - 1) / 2 { group.errors[rank] = step }
            group.pass(seconds: 3)
            for rank in 0..<count {
                #expect(group.error(rank) == 0)
                #expect(group.tolerance(rank) == 500)
                #expect(group.clocks[rank].state.isOff == (group.errors[rank] != 0))
                #expect(!group.clocks[rank].state.isStopped)
            }
            #expect(!group.clocks[count - 1].isRight(NodeID(1), at: group.now(count - 1)))
            group.errors = Array(repeating: 0, count: count)
            group.pass(seconds: 2)
            #expect(!group.clocks[0].state.isOff)
            #expect(group.clocks[count - 1].isRight(NodeID(1), at: group.now(count - 1)))
        }
    }

    @Test func `a node is off beyond 500 ms, and right again below 400`() {
        var group = ClockGroup(3)
        group.pass(seconds: 2)
        for (error, isOff) in [(480, false), (520, true), (450, true), (380, false)] {
            group.errors[0] = Int64(error)
            group.pass(seconds: 2)
            #expect(group.clocks[0].state.isOff == isOff, "\(error) ms")
        }
    }

    @Test func `of two clocks of three the one ahead is not followed`() {
        var group = ClockGroup(3)
        group.errors = [ClockGroup.decade, 0, 0]
        group.silent = [2]
        group.pass(seconds: 3)
        #expect(group.error(0) == 0)
        #expect(group.error(1) == 0)
        #expect(group.clocks[0].state.isOff)
        #expect(!group.clocks[1].state.isOff)
    }

    @Test func `after all of five started again, two of three known clocks do not decide`() {
        var group = ClockGroup(5)
        group.errors = [ClockGroup.decade, ClockGroup.decade, 0, 0, 0]
        group.silent = [3, 4]
        group.pass(seconds: 3)
        for rank in 0..<3 { #expect(group.error(rank) == 0) }
    }

    @Test func `a step of most clocks lets time stand still until they come back`() {
        var group = ClockGroup(3)
        group.pass(seconds: 2)
        group.errors = [ClockGroup.hour, ClockGroup.hour, 0]
        group.pass(seconds: 1)
        let stoppedAt = group.time(2)
        group.pass(seconds: 30)
        for rank in 0..<3 {
            #expect(group.clocks[rank].state.isStopped)
            #expect(group.clocks[rank].step == ClockGroup.hour)
            // Voters measure by what their monotonic clocks say.
            #expect(group.tolerance(rank) == 500)
        }
        #expect(group.time(2) == stoppedAt)
        #expect(group.clocks[2].state.isOff)
        group.errors = [0, 0, 0]
        group.pass(seconds: 2)
        for rank in 0..<3 {
            #expect(group.error(rank) == 0)
            #expect(!group.clocks[rank].state.isStopped)
        }
    }

    @Test func `steps of up to ten seconds are followed, but time never goes back`() {
        var group = ClockGroup(3)
        group.pass(seconds: 2)
        group.errors = [9_000, 9_000, 9_000]
        group.pass(seconds: 2)
        #expect(group.error(0) == 9_000)
        let before = group.time(0)
        group.errors = [0, 0, 0]
        group.pass(seconds: 2)
        #expect(group.time(0) ?? .max <= (before ?? 0) + 100)
        group.pass(seconds: 8)
        #expect(group.error(0) == 0)
    }

    @Test func `what an operator accepts at one node, all follow`() {
        var group = ClockGroup(3)
        group.pass(seconds: 2)
        let isTooEarly = group.accept(1)
        #expect(!isTooEarly)
        group.errors = [ClockGroup.hour, ClockGroup.hour, ClockGroup.hour]
        group.pass(seconds: 3)
        #expect(group.stoppedCount == 3)
        let isAccepted = group.accept(1)
        #expect(isAccepted)
        group.pass(seconds: 1)
        for rank in 0..<3 { #expect(group.error(rank) == ClockGroup.hour) }
        // What was accepted once is no word about the next step.
        group.errors = [0, 0, 0]
        group.pass(seconds: 3)
        #expect(group.stoppedCount == 3)
        let before = group.time(0)
        let isAcceptedAgain = group.accept(0)
        #expect(isAcceptedAgain)
        group.pass(seconds: 3)
        #expect(group.stoppedCount == 0)
        // The hour that was handed out too early passes first.
        for rank in 0..<3 { #expect(group.time(rank) ?? 0 >= before ?? .max) }
        #expect(group.error(0) ?? 0 > ClockGroup.hour - 60_000)
    }

    @Test func `an operator's word at a node whose time goes on reaches the others`() {
        var group = ClockGroup(3)
        group.pass(seconds: 2)
        group.errors = [ClockGroup.hour, ClockGroup.hour, ClockGroup.hour]
        group.pass(seconds: 2)
        // The first node alone lives in the new time: it was told, and forgot, before any followed.
        let isAccepted = group.accept(0)
        #expect(isAccepted)
        group.errors = [0, 0, 0]
        group.observe()
        group.clocks[0].tick(at: group.now(0))
        group.errors = [ClockGroup.hour, ClockGroup.hour, ClockGroup.hour]
        group.pass(seconds: 2)
        // Seed 36 of the simulator's `time`: accepting there once more changed nothing.
        _ = group.accept(0)
        group.pass(seconds: 2)
        #expect(group.stoppedCount == 0)
        #expect(group.error(2) == ClockGroup.hour)
    }

    @Test func `a restart accepts no step while others remember`() {
        var group = ClockGroup(3)
        group.pass(seconds: 2)
        group.errors = Array(repeating: ClockGroup.decade, count: 3)
        group.pass(seconds: 2)
        for rank in 0..<3 {
            group.restart(rank)
            group.pass(seconds: 2)
            #expect(group.clocks[rank].state.isStopped)
            #expect(group.tolerance(rank) == 500)
        }
    }

    @Test func `a node whose monotonic clock is wrong follows the others`() {
        var group = ClockGroup(3)
        group.pass(seconds: 2)
        group.monotonicErrors[0] = 60_000
        group.pass(seconds: 2)
        #expect(!group.clocks[0].state.isStopped)
        #expect(group.error(0) ?? .max < 61_000)
        #expect(group.tolerance(1) == 500)
        #expect(group.error(1) == 0)
    }

    @Test func `an answer that was long under way is no sample`() {
        var group = ClockGroup(3)
        group.observe()
        group.ask(0, 1, roundTrip: 501)
        #expect(group.clocks[0].knownCount(at: group.now(0)) == 1)
        group.ask(0, 1, roundTrip: 499)
        #expect(group.clocks[0].knownCount(at: group.now(0)) == 2)
    }

    @Test func `a clock out of reach is known through another node`() {
        var group = ClockGroup(5)
        group.pass(seconds: 1)
        group.errors = [ClockGroup.hour, 0, 0, 0, 0]
        group.restart(4)
        // Node 5 reaches node 2 only.
        group.pass(seconds: 1)
        group.restart(4)
        group.observe()
        group.ask(4, 1)
        #expect(group.clocks[4].knownCount(at: group.now(4)) == 5)
        #expect(abs(group.error(4) ?? .max) <= 2)
        #expect(!group.clocks[4].isRight(NodeID(1), at: group.now(4)))
    }

    @Test func `what comes back from others is no news`() {
        var group = ClockGroup(3)
        group.pass(seconds: 1)
        group.silent = [2]
        // The third is silent: its sample wanders between the two and grows old all the same.
        group.pass(seconds: 6)
        #expect(group.clocks[0].knownCount(at: group.now(0)) == 2)
        #expect(group.clocks[1].knownCount(at: group.now(1)) == 2)
    }

    @Test func `the time handed out is not before what the tablets know`() {
        var group = ClockGroup(3)
        let floor = group.right + 60_000
        group.restart(0, floor: floor)
        group.observe()
        #expect(group.clocks[0].timeForClients(at: group.now(0)).milliseconds == floor)
        group.pass(seconds: 2)
        #expect(group.time(0) == floor)
        #expect(group.error(1) == 0)
    }

    // MARK: Bytes

    private static let answer: ClockAnswer = {
        var answer = ClockAnswer(askedAt: Instant(nanoseconds: 12_345))
        answer.samples = [
            .init(node: NodeID(1), time: WallTime(milliseconds: 7), ageMilliseconds: 0),
            .init(node: NodeID(3), time: WallTime(milliseconds: 9), ageMilliseconds: 1_000),
        ]
        answer.line = .init(
            time: WallTime(milliseconds: 8), isStopped: true, isAccepted: false)
        return answer
    }()

    @Test func `an answer is read back, and no truncated one is`() throws {
        var lineless = AgreedClockTests.answer
        lineless.line = nil
        for answer in [AgreedClockTests.answer, lineless] {
            var writer = ByteWriter()
            answer.encode(to: &writer)
            let bytes = writer.take()
            var reader = ByteReader(bytes)
            #expect(try ClockAnswer(from: &reader) == answer)
            for count in bytes.indices {
                #expect(throws: DecodingError.self) {
                    var reader = ByteReader(Array(bytes[..<count]))
                    _ = try ClockAnswer(from: &reader)
                }
            }
        }
    }

    @Test func `an answer with too many clocks or strange flags is refused`() {
        var writer = ByteWriter()
        AgreedClockTests.answer.encode(to: &writer)
        let bytes = writer.take()
        for (place, value) in [(8, UInt8(2)), (8, 8), (17, 65), (20, 1)] {
            var changed = bytes
            changed[place] = value
            #expect(throws: DecodingError.self) {
                var reader = ByteReader(changed)
                _ = try ClockAnswer(from: &reader)
            }
        }
    }

    @Test func `wall times beyond what a version holds do no harm`() {
        var group = ClockGroup(3)
        group.pass(seconds: 1)
        group.errors[0] = Int64(1) << 60
        group.pass(seconds: 2)
        #expect(group.error(1) == 0)
        #expect(group.error(0) == 0)
        var answer = ClockAnswer(askedAt: group.now(0))
        answer.samples = [
            .init(
                node: NodeID(2), time: WallTime(milliseconds: .max), ageMilliseconds: .max)
        ]
        answer.line = .init(
            time: WallTime(milliseconds: .max), isStopped: false, isAccepted: true)
        group.clocks[0].heard(answer, from: NodeID(2), at: group.now(0))
        #expect(group.error(0) == 0)
    }
}
