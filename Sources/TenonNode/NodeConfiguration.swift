package import TenonCore
package import TenonKV
package import TenonStore

/// A member of the cluster as `--cluster` names it.
package struct ClusterMember: Hashable, Sendable {
    package var id: NodeID
    package var name: String
    /// `HOST:PORT`, an IPv6 host in brackets.
    package var address: String

    package init(id: NodeID, name: String, address: String) {
        self.id = id
        self.name = name
        self.address = address
    }

    /// The members of `list`, numbered by the rank of their names, which is the same on every
    /// node that was given the same list.
    package static func ranked(_ list: [(name: String, address: String)]) -> [ClusterMember] {
        list.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            .enumerated()
            .map { rank, member in
                ClusterMember(
                    id: NodeID(UInt32(rank + 1)), name: member.name, address: member.address)
            }
    }

    /// A digest of names and addresses, and of the bounds that decide outcomes: replicas with
    /// other bounds would come to differ (Rule S3). Defaults change with a logic version only.
    package static func digest(
        of members: [ClusterMember], tabletCount: Int, sessions: StateMachine.Configuration
    ) -> UInt64 {
        var digest = Digest()
        for member in members {
            digest.combine(Bytes(member.name))
            digest.combine(Bytes(member.address))
        }
        digest.combine(UInt64(tabletCount))
        for bound in sessions.bounds { digest.combine(bound) }
        return digest.value
    }
}

/// What a node is told at its start. Checked once, by ``validate()``.
package struct NodeConfiguration: Sendable {
    package var name: String
    /// The founders; empty for a node that joins.
    package var members: [ClusterMember]
    /// Whether the node joins a cluster that is there, or joined it, instead of founding one.
    package var isJoining = false
    /// Where others reach a node that joins, `HOST:PORT`.
    package var address = ""
    /// `key=value,…`, outermost first; empty when none was given.
    package var locality = ""
    /// The static borders have two bytes, of which there are some more.
    package static let tabletCountMax = 16_384
    /// Data tablets; their borders are spread over the first two bytes `00`…`zz`.
    package var tabletCount = 1
    /// How far behind now the history floor stays.
    package var retention = TimeSpan.seconds(60)
    /// Rule C1. The same on all nodes.
    package var timers = Timers()
    package var store = StoreConfiguration()
    /// Bytes of entries that a tablet keeps behind its last flush, so that a follower that was
    /// away for a moment needs no snapshot. More costs memory, less costs snapshots.
    package var retainedLogBytes = 32 << 20
    /// Requests of one connection that may wait for an answer; more are `overloaded`.
    package var requestsPerConnectionMax = 8_192
    /// Bytes of blocks that the node keeps decoded for all its tablets.
    package var blockCacheBytes = 256 << 20
    /// Bytes of tables that the scrubber reads a second, for all tablets together; 0 turns it
    /// off. More finds damage sooner, less leaves the disk to others.
    package var scrubBytesPerSecond = 4 << 20
    /// From the end of one pass of the scrubber to the beginning of the next.
    package var scrubInterval = TimeSpan.seconds(3_600)
    /// Bounds that decide outcomes: the same on all nodes, as ``memberListDigest`` makes sure.
    package var sessions = StateMachine.Configuration()

    package struct Timers: Hashable, Sendable {
        package var heartbeat = TimeSpan.milliseconds(50)
        package var electionMin = TimeSpan.milliseconds(500)
        package var electionMax = TimeSpan.milliseconds(1_000)
        package var stallBound = TimeSpan.milliseconds(500)

        package init() {}
    }

    package init(name: String, members: [ClusterMember]) {
        self.name = name
        self.members = members
    }

    /// This node's own entry of the member list.
    package var me: ClusterMember {
        guard let member = members.first(where: { $0.name == name }) else {
            preconditionFailure("\(name) is not a member: validate() was not called")
        }
        return member
    }

    /// A digest of all that must be the same on all nodes for ever: one with another refuses the
    /// others and is refused by them, and by its own folder.
    package var memberListDigest: UInt64 {
        ClusterMember.digest(of: members, tabletCount: tabletCount, sessions: sessions)
    }

    /// - Throws: ``NodeConfigurationError`` with the setting and what to change.
    package func validate() throws(NodeConfigurationError) {
        if !isJoining { try validateMembers() }
        try validateBounds()
    }

    private func validateMembers() throws(NodeConfigurationError) {
        guard members.contains(where: { $0.name == name }) else {
            throw NodeConfigurationError(
                setting: "cluster",
                problem: "the list does not name this node, \(name): add \(name)=HOST:PORT")
        }
        for (first, second) in zip(members, members.dropFirst()) where first.name == second.name {
            throw NodeConfigurationError(
                setting: "cluster", problem: "\(first.name) stands twice: name each node once")
        }
        let addresses = members.map(\.address).sorted()
        for (first, second) in zip(addresses, addresses.dropFirst()) where first == second {
            throw NodeConfigurationError(
                setting: "cluster", problem: "two nodes have the address \(first)")
        }
        for member in members {
            guard !member.name.isEmpty, member.name.utf8.count <= Limits.nameBytesMax else {
                throw NodeConfigurationError(
                    setting: "cluster",
                    problem: "a name must have 1 to \(Limits.nameBytesMax) bytes")
            }
        }
    }

    private func validateBounds() throws(NodeConfigurationError) {
        guard (1...NodeConfiguration.tabletCountMax).contains(tabletCount) else {
            throw NodeConfigurationError(
                setting: "tablets", problem: "\(tabletCount) is not between 1 and 16,384")
        }
        do {
            try sessions.validate()
        } catch {
            throw NodeConfigurationError(setting: "sessions", problem: "\(error)")
        }
        guard retention >= .milliseconds(100) else {
            throw NodeConfigurationError(setting: "retention", problem: "under 100 ms")
        }
        guard timers.electionMin.nanoseconds >= timers.heartbeat.nanoseconds * 4,
            timers.electionMax > timers.electionMin
        else {
            throw NodeConfigurationError(
                setting: "timers",
                problem: "the election timeout must be at least four heartbeats, and a range")
        }
    }
}

/// A setting that cannot be used, and why.
package struct NodeConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    package var setting: String
    package var problem: String

    package init(setting: String, problem: String) {
        self.setting = setting
        self.problem = problem
    }

    package var description: String { "--\(setting): \(problem)" }
}
