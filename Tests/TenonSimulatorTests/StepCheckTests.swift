import TenonCore
import TenonLog
import Testing

@testable import TenonSimulator

/// The checks after every step, each fed with what it must not accept.
@Suite struct StepCheckTests {
    private func entry(_ index: UInt64, _ term: UInt64, _ payload: String = "") -> Entry {
        Entry(
            index: LogIndex(index), term: Term(term), kind: .commands, payload: Array(payload.utf8))
    }

    @Test func `two leaders of a term are noticed`() {
        var truth = TabletTruth()
        #expect(truth.note(leader: ReplicaID(1), of: Term(3)) == nil)
        #expect(truth.note(leader: ReplicaID(1), of: Term(3)) == nil)
        #expect(truth.note(leader: ReplicaID(2), of: Term(4)) == nil)
        #expect(truth.note(leader: ReplicaID(2), of: Term(3)) == ReplicaID(1))
    }

    @Test func `two votes in a term are noticed`() {
        var truth = TabletTruth()
        #expect(truth.note(vote: ReplicaID(1), by: ReplicaID(3), in: Term(2)) == nil)
        #expect(truth.note(vote: ReplicaID(1), by: ReplicaID(3), in: Term(2)) == nil)
        #expect(truth.hasVoted(ReplicaID(3), for: ReplicaID(1), in: Term(2)))
        #expect(truth.note(vote: ReplicaID(2), by: ReplicaID(3), in: Term(2)) == ReplicaID(1))
    }

    @Test func `two contents of an entry are noticed, and two pasts`() {
        var truth = TabletTruth()
        #expect(truth.note(entry(5, 2, "a"), after: Term(1)) == nil)
        #expect(truth.note(entry(5, 2, "a"), after: nil) == nil)
        #expect(truth.note(entry(5, 3, "b"), after: Term(2)) == nil)
        #expect(truth.note(entry(5, 2, "b"), after: nil) != nil)
        #expect(truth.note(entry(5, 2, "a"), after: Term(2)) != nil)
        #expect(truth.knows(entry(5, 2, "a")))
        #expect(!truth.knows(entry(5, 2, "c")))
        #expect(!truth.knows(entry(9, 2, "a")))
    }

    @Test func `two digests at an index are noticed`() {
        var truth = TabletTruth()
        #expect(truth.note(digest: 7, at: LogIndex(3)) == nil)
        #expect(truth.note(digest: 7, at: LogIndex(3)) == nil)
        #expect(truth.note(digest: 8, at: LogIndex(2)) == nil)
        #expect(truth.note(digest: 8, at: LogIndex(3)) != nil)
    }

    @Test func `a shadow holds what a log holds`() {
        let tablet = TabletID(2)
        let replica = ReplicaID(1)
        var shadow = DiskShadow.Replica()
        #expect(shadow.holds(.zero, .zero))
        #expect(!shadow.holds(LogIndex(1), Term(1)))
        let entries = (1...6).map { entry(UInt64($0), $0 < 4 ? 1 : 2) }
        shadow.apply(.entries(tablet: tablet, replica: replica, entries: entries))
        #expect(shadow.last == LogIndex(6))
        #expect(shadow.holds(LogIndex(6), Term(2)))
        shadow.apply(.entries(tablet: tablet, replica: replica, entries: [entry(5, 3)]))
        #expect(shadow.last == LogIndex(5))
        #expect(!shadow.holds(LogIndex(5), Term(2)))
        #expect(!shadow.holds(LogIndex(6), Term(2)))
        shadow.apply(.trim(tablet: tablet, replica: replica, through: LogIndex(3), term: Term(1)))
        #expect(shadow.holds(LogIndex(2), Term(1)))
        #expect(shadow.term(at: LogIndex(3)) == Term(1))
        #expect(shadow.term(at: LogIndex(2)) == nil)
        shadow.apply(.reset(tablet: tablet, replica: replica, at: LogIndex(9), term: Term(4)))
        #expect(shadow.last == LogIndex(9))
        #expect(!shadow.holds(LogIndex(10), Term(4)))
    }
}
