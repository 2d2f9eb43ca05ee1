import TenonCore

@testable import TenonRaft

/// A group on a perfect network with disks that finish at once, unless a test says otherwise.
///
/// A test reads like a transcript: `advance`, `propose`, `cut`, `settle`, then `#expect`.
struct TestGroup {
    var replicas: [TestReplica]
    var now = Instant.zero
    /// Messages on their way.
    var network: [RaftMessage] = []
    /// Replicas whose messages, in and out, are lost.
    var isolated: Set<ReplicaID> = []
    /// Replicas whose writes do not finish by themselves.
    var stalled: Set<ReplicaID> = []
    /// Drops a message for which it says true.
    var drop: (RaftMessage) -> Bool = { _ in false }
    /// Everything that was delivered, for tests that look at the traffic.
    var delivered: [RaftMessage] = []
    private let configure: (inout Raft.Configuration) -> Void

    init(
        _ count: Int, membership: Membership? = nil, disks: [TestDisk] = [], seed: UInt64 = 1,
        configure: @escaping (inout Raft.Configuration) -> Void = { _ in }
    ) {
        self.configure = configure
        replicas = (1...count).map { number in
            let disk =
                disks.isEmpty
                ? TestDisk(membership: membership ?? voters(1...count)) : disks[number - 1]
            return TestReplica(
                ReplicaID(UInt64(number)), disk: disk, seed: seed, configure: configure)
        }
    }

    subscript(id: ReplicaID) -> Raft {
        get { replicas[Int(id.rawValue) - 1].raft }
        set { replicas[Int(id.rawValue) - 1].raft = newValue }
    }
    func replica(_ id: ReplicaID) -> TestReplica { replicas[Int(id.rawValue) - 1] }

    /// The leader of the highest term, if any.
    var leader: ReplicaID? {
        replicas.map(\.raft).filter { $0.role == .leader }.max { $0.term < $1.term }?.replica
    }

    /// Delivers messages and completes writes until nothing happens any more.
    mutating func settle() {
        for _ in 0..<10_000 {
            collect()
            guard !network.isEmpty || completeWrites() else { return }
            let batch = network
            network = []
            for message in batch { deliver(message) }
        }
        preconditionFailure("the group does not come to rest")
    }

    /// Moves what the replicas have to send into the network.
    mutating func collect() {
        for position in replicas.indices {
            let messages = replicas[position].drain()
            network += messages.filter { !isolated.contains($0.from) && !drop($0) }
        }
    }

    mutating func deliver(_ message: RaftMessage) {
        guard !isolated.contains(message.to) else { return }
        delivered.append(message)
        self[message.to].step(message, now: now)
    }

    private mutating func completeWrites() -> Bool {
        var isAny = false
        for position in replicas.indices
        where !stalled.contains(replicas[position].raft.replica) {
            while !replicas[position].writes.isEmpty {
                replicas[position].completeWrite()
                isAny = true
            }
        }
        return isAny
    }

    /// Lets `span` pass, each replica ticking when it asked to.
    mutating func advance(by span: TimeSpan) {
        let end = now + span
        settle()
        var ticks = 0
        while let next = replicas.map(\.raft.nextDeadline).min(), next <= end {
            ticks += 1
            precondition(ticks < 10_000, "a deadline at \(next) does not move on")
            now = max(now, next)
            for position in replicas.indices where replicas[position].raft.nextDeadline <= now {
                replicas[position].raft.tick(
                    now: now, wallTime: WallTime(milliseconds: 1_000 + now.nanoseconds / 1_000_000))
            }
            settle()
        }
        now = end
    }

    /// Makes `id` the leader: it alone stands for election.
    mutating func elect(_ id: ReplicaID) {
        self[id].campaign(now: now)
        settle()
        precondition(self[id].role == .leader, "\(id) was not elected")
    }

    mutating func propose(_ text: String, at id: ReplicaID) throws -> LogIndex {
        try self[id].propose(.commands, Array(text.utf8))
    }

    /// The process of `id` ends: what is not on its disk is gone. It starts again at once.
    ///
    /// - Parameter isSilent: whether it keeps the silence of one that is started (Rule C3), which
    ///   other rules' tests would have to wait for.
    mutating func crash(_ id: ReplicaID, seed: UInt64 = 2, isSilent: Bool = false) {
        let disk = replica(id).disk
        replicas[Int(id.rawValue) - 1] = TestReplica(
            id, disk: disk, now: now, seed: seed, isSilent: isSilent, configure: configure)
    }

    /// A message as `from` would send it.
    func message(
        _ body: RaftMessage.Body, from: ReplicaID, to: ReplicaID, term: Term
    ) -> RaftMessage {
        RaftMessage(
            tablet: TabletID(7), from: from, to: to, epoch: .first, term: term, body: body)
    }
}

extension Raft {
    /// At the moment that was told last.
    mutating func requestRead(_ token: ReadToken) { requestRead(token, now: clock) }
}
