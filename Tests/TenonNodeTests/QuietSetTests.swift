import TenonCore
import TenonRaft
import TenonWire
import Testing

@testable import TenonNode

/// The two ends of a numbered set of quiet groups, without nodes around them (Rule C9).
@Suite struct `Sets of quiet groups` {
    private let boot = BootNumber(3)
    private let now = Instant(nanoseconds: 1_000_000_000)

    private func group(_ tablet: UInt64, commit: UInt64 = 5) -> QuietGroup {
        QuietGroup(
            tablet: TabletID(tablet), receiver: ReplicaID(2),
            point: Raft.RestPoint(leader: ReplicaID(1), term: Term(1), commit: LogIndex(commit)))
    }

    private func tablets(_ numbers: UInt64...) -> [TabletID] { numbers.map { TabletID($0) } }

    /// Two ends that have met.
    private func ends() -> (QuietSet, QuietFollowing) {
        var leading = QuietSet()
        var following = QuietFollowing()
        _ = leading.meet(BootNumber(7))
        _ = following.meet(boot)
        return (leading, following)
    }

    private func carry(_ leading: inout QuietSet, to following: inout QuietFollowing) {
        while let change = leading.takeChange(boot: boot, epoch: .first) {
            _ = following.apply(change, now: now)
        }
    }

    private func heartbeat(_ set: QuietSet, boot: BootNumber? = nil) -> NodeHeartbeat {
        NodeHeartbeat(
            boot: boot ?? self.boot, peerBoot: BootNumber(7), sentAt: now, set: set.number,
            reaches: [])
    }

    @Test func `a group is held when the peer has answered with a number that has it`() {
        var (leading, following) = ends()
        leading.join(group(2))
        #expect(!leading.isHeld(TabletID(2)))
        carry(&leading, to: &following)
        #expect(following.tablets == tablets(2))
        leading.join(group(3))
        let held = leading.answered(held: following.number, named: leading.number - 1)
        #expect(held == tablets(2))
        #expect(leading.isHeld(TabletID(2)))
        #expect(!leading.isHeld(TabletID(3)))
    }

    @Test func `a heartbeat speaks for the groups only with the number and the boot of the set`() {
        var (leading, following) = ends()
        leading.join(group(2))
        carry(&leading, to: &following)
        var isHeard = following.heard(heartbeat(leading), now: now)
        #expect(isHeard)
        isHeard = following.heard(heartbeat(leading, boot: BootNumber(4)), now: now)
        #expect(!isHeard)
        leading.leave(TabletID(2))
        isHeard = following.heard(heartbeat(leading), now: now)
        #expect(!isHeard)
        carry(&leading, to: &following)
        isHeard = following.heard(heartbeat(leading), now: now)
        #expect(isHeard)
        #expect(following.isEmpty)
    }

    @Test func `a change that was lost is not skipped, and is sent again`() throws {
        var (leading, following) = ends()
        leading.join(group(2))
        carry(&leading, to: &following)
        leading.leave(TabletID(2))
        let lostChange = leading.takeChange(boot: boot, epoch: .first)
        let lost = try #require(lostChange)
        leading.join(group(3))
        let laterChange = leading.takeChange(boot: boot, epoch: .first)
        let later = try #require(laterChange)
        var action = following.apply(later, now: now)
        #expect(action == .none)
        #expect(following.tablets == tablets(2))
        leading.answered(held: following.number, named: leading.number)
        carry(&leading, to: &following)
        #expect(following.tablets == tablets(3))
        #expect(following.number == leading.number)
        // What was lost comes after all: too late.
        action = following.apply(lost, now: now)
        #expect(action == .none)
    }

    @Test func `an answer to an older heartbeat sends nothing twice`() {
        var (leading, following) = ends()
        leading.join(group(2))
        carry(&leading, to: &following)
        let old = following.number
        leading.join(group(3))
        carry(&leading, to: &following)
        leading.answered(held: old, named: old)
        let change = leading.takeChange(boot: boot, epoch: .first)
        #expect(change == nil)
    }

    @Test func `who gave the set up is sent the whole of it`() {
        var (leading, following) = ends()
        for number in 2...5 { leading.join(group(UInt64(number))) }
        carry(&leading, to: &following)
        leading.answered(held: following.number, named: leading.number)
        let woken = following.giveUp()
        #expect(woken == tablets(2, 3, 4, 5))
        leading.leave(TabletID(4))
        leading.answered(held: following.number, named: leading.number - 1)
        carry(&leading, to: &following)
        leading.answered(held: following.number, named: leading.number)
        carry(&leading, to: &following)
        #expect(following.tablets == tablets(2, 3, 5))
    }

    @Test func `what a follower left by itself it names until the set is without it`() {
        var (leading, following) = ends()
        leading.join(group(2))
        leading.join(group(3))
        carry(&leading, to: &following)
        following.leave(TabletID(2))
        #expect(following.left == tablets(2))
        #expect(following.tablets == tablets(3))
        leading.leave(TabletID(2))
        carry(&leading, to: &following)
        #expect(following.left.isEmpty)
    }

    @Test func `a restart of either end empties the set`() {
        var (leading, following) = ends()
        leading.join(group(2))
        carry(&leading, to: &following)
        leading.answered(held: following.number, named: leading.number)
        let left = leading.meet(BootNumber(8))
        #expect(left == tablets(2) && leading.isEmpty && !leading.isHeld(TabletID(2)))
        let again = leading.meet(BootNumber(8))
        #expect(again.isEmpty)
        let woken = following.meet(BootNumber(4))
        #expect(woken == tablets(2))
        #expect(following.number == 0)
    }

    @Test func `silence has a moment only while groups rest`() {
        var (leading, following) = ends()
        #expect(following.deadline(after: .seconds(1)) == nil)
        leading.join(group(2))
        carry(&leading, to: &following)
        following.heard(heartbeat(leading), now: now)
        #expect(following.deadline(after: .seconds(1)) == now + .seconds(1))
    }

    /// Joins, departures, losses and answers at random: equal numbers mean equal sets.
    @Test(arguments: 1...40) func `equal numbers mean equal sets, whatever is lost`(seed: Int) {
        var draws = SeededGenerator(seed: UInt64(seed))
        var (leading, following) = ends()
        var underWay: [QuietChange] = []
        for _ in 0..<400 {
            let tablet = TabletID(2 + draws.below(6))
            switch draws.below(8) {
            case 0, 1: if !leading.contains(tablet) { leading.join(group(tablet.rawValue)) }
            case 2: leading.leave(tablet)
            case 3, 4:
                if let change = leading.takeChange(boot: boot, epoch: .first) {
                    underWay.append(change)
                }
            case 5:
                if !underWay.isEmpty {
                    let place = Int(draws.below(UInt64(underWay.count)))
                    _ = following.apply(underWay[place], now: now)
                    if draws.below(2) == 0 { underWay.remove(at: place) }
                }
            case 6:
                leading.answered(held: following.number, named: leading.number)
                if draws.below(20) == 0 { _ = following.giveUp() }
            default: if draws.below(3) == 0 { underWay = [] }
            }
            if following.number == leading.number {
                #expect(following.tablets == leading.tablets)
            }
        }
        for _ in 0..<3 {
            leading.answered(held: following.number, named: leading.number)
            carry(&leading, to: &following)
        }
        #expect(following.number == leading.number)
        #expect(following.tablets == leading.tablets)
    }
}

/// What nodes say of themselves, and for others, on the wire.
@Suite struct `Heartbeat and relay messages` {
    private var messages: [NodeMessage] {
        let group = QuietGroup(
            tablet: TabletID(2), receiver: ReplicaID(2),
            point: Raft.RestPoint(leader: ReplicaID(1), term: Term(9), commit: LogIndex(5)))
        let identity = PeerIdentity(
            cluster: ClusterID(high: 1, low: 2), node: NodeID(1), folder: FolderID(high: 3, low: 4),
            boot: BootNumber(5), nonce: 6, epoch: .first, hasEntries: true, logPosition: 7,
            memberListDigest: 8)
        let raft = RaftMessage(
            tablet: TabletID(2), from: ReplicaID(1), to: ReplicaID(2), epoch: .first,
            term: Term(3), body: .appendAccepted(match: LogIndex(4)))
        return [
            .nodeHeartbeat(
                NodeHeartbeat(
                    boot: BootNumber(1), peerBoot: BootNumber(2), sentAt: Instant(nanoseconds: 3),
                    set: 4, reaches: [NodeID(1), NodeID(3)])),
            .nodeHeartbeatAnswer(
                NodeHeartbeatAnswer(
                    boot: BootNumber(1), peerBoot: BootNumber(2), sentAt: Instant(nanoseconds: 3),
                    namedSet: 4, heldSet: 5, left: [TabletID(6)])),
            .quietChange(
                QuietChange(
                    boot: BootNumber(1), peerBoot: BootNumber(2), epoch: .first, from: 3, to: 4,
                    joined: [group], gone: [TabletID(5)])),
            .relayed(
                RelayedMessages(
                    origin: PeerHello(
                        stream: .consensus, receiver: NodeID(2), identity: identity),
                    messages: [raft, raft])),
        ]
    }

    private func encoded(_ message: NodeMessage) -> [UInt8] {
        var writer = ByteWriter()
        message.encode(to: &writer)
        return writer.take()
    }

    @Test func `come back as they went, and no shorter ones do`() throws {
        for message in messages {
            let bytes = encoded(message)
            var reader = ByteReader(bytes)
            #expect(encoded(try NodeMessage(from: &reader)) == bytes)
            #expect(reader.isAtEnd)
            for count in 0..<bytes.count {
                #expect(throws: DecodingError.self) {
                    var reader = ByteReader(Array(bytes[..<count]))
                    _ = try NodeMessage(from: &reader)
                    try reader.finish()
                }
            }
        }
    }

    @Test func `flipped bits give an error or another message, never a trap`() {
        for message in messages {
            let bytes = encoded(message)
            for bit in 0..<bytes.count * 8 {
                var flipped = bytes
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                var reader = ByteReader(flipped)
                do throws(DecodingError) {
                    _ = try NodeMessage(from: &reader)
                } catch {
                    continue
                }
            }
        }
    }

    @Test func `a set that goes back is refused`() {
        var writer = ByteWriter()
        NodeMessage.quietChange(
            QuietChange(
                boot: BootNumber(1), peerBoot: BootNumber(2), epoch: .first, from: 4, to: 4,
                joined: [], gone: [])
        ).encode(to: &writer)
        let bytes = writer.take()
        #expect(throws: DecodingError.self) {
            var reader = ByteReader(bytes)
            _ = try NodeMessage(from: &reader)
        }
    }
}
