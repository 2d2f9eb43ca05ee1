package import TenonCore

/// The records of the directory: a node, a keyspace, a tablet. They stand as values under their
/// keys in tablet 1 (``DirectoryKey``), and in every copy of the directory.
extension Directory {
    /// What a node is there for.
    package enum NodeState: UInt8, Hashable, Sendable {
        /// Holds replicas and leads.
        case serving = 0
        /// Holds replicas and leads nothing.
        case draining = 1
        /// Its replicas are made again elsewhere; then its record goes.
        case leaving = 2

        /// As commands print it.
        package var name: String {
            switch self {
            case .serving: "serving"
            case .draining: "draining"
            case .leaving: "leaving"
            }
        }
    }

    package struct Node: Hashable, Sendable {
        package var id: NodeID
        package var name: String
        /// `HOST:PORT`, an IPv6 host in brackets.
        package var address: String
        /// `key=value,…`, outermost first; empty when none was given.
        package var locality: String
        package var state: NodeState
        /// The data folder that joined under this id; zero for one of the cluster's founders.
        package var folder: FolderID
        /// Where the replicas of a leaving node should go; 0 for wherever there is room.
        package var replacement: NodeID
        /// Whether its replicas keep no data (Rule C7), for as long as it is a member.
        package var isWitness: Bool

        package init(
            id: NodeID, name: String, address: String, locality: String,
            state: NodeState = .serving, folder: FolderID = FolderID(high: 0, low: 0),
            replacement: NodeID = NodeID(0), isWitness: Bool = false
        ) {
            self.id = id
            self.name = name
            self.address = address
            self.locality = locality
            self.state = state
            self.folder = folder
            self.replacement = replacement
            self.isWitness = isWitness
        }

        /// Set in the state of a witness.
        private static let witnessBit: UInt8 = 1 << 7

        /// Layout: id 4 · state 1 (bit 7 witness) · folder 16 · replacement 4 · name · address ·
        /// locality.
        package func encode(to writer: inout ByteWriter) {
            writer.identifier(id)
            writer.uint8(state.rawValue | (isWitness ? Node.witnessBit : 0))
            writer.identifier(folder)
            writer.identifier(replacement)
            writer.lengthPrefixed(name)
            writer.lengthPrefixed(address)
            writer.lengthPrefixed(locality)
        }

        package init(from reader: inout ByteReader) throws(DecodingError) {
            id = try reader.identifier(NodeID.self)
            let byte = try reader.uint8()
            isWitness = byte & Node.witnessBit != 0
            guard let state = NodeState(rawValue: byte & ~Node.witnessBit) else {
                throw .unknownKind(field: "state of a node", value: UInt64(byte))
            }
            self.state = state
            folder = try reader.identifier(FolderID.self)
            replacement = try reader.identifier(NodeID.self)
            name = try reader.lengthPrefixedText("name", atMost: Limits.nameBytesMax)
            address = try reader.lengthPrefixedText("address", atMost: Limits.addressBytesMax)
            locality = try reader.lengthPrefixedText("locality", atMost: Limits.localityBytesMax)
        }
    }

    package struct Keyspace: Hashable, Sendable {
        package var id: KeyspaceID
        package var name: String
        /// Voters that each tablet should have; fewer while there are fewer nodes.
        package var replicas: Int
        /// How far behind now the history floor stays; zero for the node's own setting.
        package var retention: TimeSpan
        /// Its tablets are being removed; then its record goes.
        package var isDropped: Bool
        package var policy: PlacementPolicy
        /// A tablet with more bytes on disk than this becomes two; 0 for never.
        package var splitAboveBytes: UInt64

        /// What ``splitAboveBytes`` is when nothing is said: what a node copies to another, when a
        /// replica is made again, in seconds to a minute.
        package static let splitAboveDefault: UInt64 = 1 << 30
        /// What it may be, beside 0. Below a block of a table there is nothing to cut.
        package static let splitAboveBounds: ClosedRange<UInt64> = 1 << 14...1 << 50
        /// Voters a tablet can have.
        package static let replicasMax = 7
        /// What a keyspace gets when nothing is said.
        package static let replicasDefault = 3

        package init(
            id: KeyspaceID, name: String, replicas: Int = Keyspace.replicasDefault,
            retention: TimeSpan = .zero, isDropped: Bool = false,
            policy: PlacementPolicy = PlacementPolicy(),
            splitAboveBytes: UInt64 = Keyspace.splitAboveDefault
        ) {
            self.id = id
            self.name = name
            self.replicas = replicas
            self.retention = retention
            self.isDropped = isDropped
            self.policy = policy
            self.splitAboveBytes = splitAboveBytes
        }

        /// Whether a bound on the bytes of tablets is one.
        package static func isSplitBound(_ bytes: UInt64) -> Bool {
            bytes == 0 || splitAboveBounds.contains(bytes)
        }

        /// Layout: id 4 · replicas 1 · retention in nanoseconds 8 · dropped 1 · split above 8 · name ·
        /// policy.
        package func encode(to writer: inout ByteWriter) {
            writer.identifier(id)
            writer.uint8(UInt8(replicas))
            writer.uint64(retention.nanoseconds)
            writer.flag(isDropped)
            writer.uint64(splitAboveBytes)
            writer.lengthPrefixed(name)
            policy.encode(to: &writer)
        }

        package init(from reader: inout ByteReader) throws(DecodingError) {
            id = try reader.identifier(KeyspaceID.self)
            replicas = Int(try reader.uint8())
            guard (1...Keyspace.replicasMax).contains(replicas) else {
                throw .tooLong(field: "replicas", count: replicas, bound: Keyspace.replicasMax)
            }
            retention = TimeSpan(nanoseconds: try reader.uint64())
            isDropped = try reader.flag("dropped")
            splitAboveBytes = try reader.uint64()
            guard Keyspace.isSplitBound(splitAboveBytes) else {
                throw .malformed("the size above which tablets are split")
            }
            name = try reader.lengthPrefixedText("keyspace", atMost: Limits.nameBytesMax)
            policy = try PlacementPolicy(from: &reader)
        }
    }
}

extension KeyspaceID {
    /// The keyspace of tablet 1. Nobody but the directory's leader writes to it.
    package static let directory = KeyspaceID(0)
}

/// A tablet's place: its interval, its generation, its members and, as far as the answering node
/// knows, its leader.
///
/// The authority on all of it but what is to be (``target``, ``targetLearners``) is the tablet's own log: what stands in the directory
/// is the newest that a leader reported (Rule C5).
package struct TabletDescriptor: Hashable, Sendable {
    package var id: TabletID
    package var keyspace: KeyspaceID
    /// Counts the changes of its bounds: what requests are routed by.
    package var generation: Generation
    package var lower: Bytes
    /// Nil for the end of the keyspace.
    package var upper: Bytes?
    /// 0 when it is not known.
    package var leader: NodeID
    /// Counts the changes of its members.
    package var configuration: Generation
    /// Voters, of both halves while the configuration is joint; in rising order of replica.
    package var voters: [Member]
    /// Members without a vote; in rising order of replica.
    package var learners: [Member]
    /// Whether a change of voters is under way.
    package var isJoint: Bool
    /// The voters that it is to have; empty when they are as they should be.
    package var target: [Member]
    /// The learners that it is to have for good: copies near clients, for reads that may be stale. It
    /// stays when it is reached, for the tablet's own log does not say what a learner is there for.
    package var targetLearners: [Member]
    /// What commits need of ``voters`` (Rule C6); without sites while the configuration is joint.
    package var acknowledgement: Acknowledgement
    /// What they are to need of ``target``.
    package var targetAcknowledgement: Acknowledgement
    /// The lowest number that no replica of the tablet has had yet (Rule I3).
    package var nextReplica: ReplicaID

    package init(
        id: TabletID, keyspace: KeyspaceID, generation: Generation, lower: Bytes, upper: Bytes?,
        leader: NodeID = NodeID(0), configuration: Generation = .first, voters: [Member] = [],
        learners: [Member] = [], isJoint: Bool = false, target: [Member] = [],
        targetLearners: [Member] = [], acknowledgement: Acknowledgement = .majority,
        targetAcknowledgement: Acknowledgement = .majority, nextReplica: ReplicaID = ReplicaID(1)
    ) {
        self.id = id
        self.keyspace = keyspace
        self.generation = generation
        self.lower = lower
        self.upper = upper
        self.leader = leader
        self.configuration = configuration
        self.voters = voters
        self.learners = learners
        self.isJoint = isJoint
        self.target = target
        self.targetLearners = targetLearners
        self.acknowledgement = acknowledgement
        self.targetAcknowledgement = targetAcknowledgement
        self.nextReplica = nextReplica
    }

    /// Whether this tells of a later state of the tablet than `other`.
    package func isNewer(than other: TabletDescriptor) -> Bool {
        (generation, configuration) > (other.generation, other.configuration)
    }

    /// Layout: id 8 · keyspace 4 · generation 8 · leader 4 · configuration 8 · joint 1 ·
    /// next replica 8 · voters · learners · target · target learners · acknowledgement · the target's · lower ·
    /// (flag 1, upper).
    package func encode(to writer: inout ByteWriter) {
        writer.identifier(id)
        writer.identifier(keyspace)
        writer.identifier(generation)
        writer.identifier(leader)
        writer.identifier(configuration)
        writer.flag(isJoint)
        writer.identifier(nextReplica)
        voters.encode(to: &writer)
        learners.encode(to: &writer)
        target.encode(to: &writer)
        targetLearners.encode(to: &writer)
        acknowledgement.encode(to: &writer)
        targetAcknowledgement.encode(to: &writer)
        writer.lengthPrefixed(lower)
        writer.optional(upper)
    }

    package init(from reader: inout ByteReader) throws(DecodingError) {
        id = try reader.identifier(TabletID.self)
        keyspace = try reader.identifier(KeyspaceID.self)
        generation = try reader.identifier(Generation.self)
        leader = try reader.identifier(NodeID.self)
        configuration = try reader.identifier(Generation.self)
        isJoint = try reader.flag("joint")
        nextReplica = try reader.identifier(ReplicaID.self)
        voters = try [Member](from: &reader)
        learners = try [Member](from: &reader)
        target = try [Member](from: &reader)
        targetLearners = try [Member](from: &reader)
        acknowledgement = try Acknowledgement(from: &reader)
        targetAcknowledgement = try Acknowledgement(from: &reader)
        guard acknowledgement.fits(voters: voters.count),
            targetAcknowledgement.fits(voters: target.count)
        else { throw .malformed("sites that are not those of the voters") }
        lower = try reader.key()
        upper = try reader.flag("upper") ? reader.key() : nil
    }
}
