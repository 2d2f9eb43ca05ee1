package import TenonCore
package import TenonKV
package import TenonLog
package import TenonNode
package import TenonStore
internal import TenonWire

/// A cluster of whole nodes in one process under virtual time: real nodes, logs and stores over
/// simulated disks, links and clients. One seed decides everything that happens.
///
/// Nothing runs by itself: ``run(for:)`` and ``run(within:until:)`` let virtual time pass. What
/// a node orders is performed as one step each, some virtual time later:
///
/// | order | performed | reported |
/// |---|---|---|
/// | log work | after half of a drawn delay, by the real `Log` | after the other half |
/// | job | when its lane is free, after a drawn delay | at once |
/// | frame to a peer | delivered in order, after a drawn delay; held back while the way is cut | |
///
/// A crash between order and performance loses the work; one between performance and report
/// leaves it done and unknown.
package final class SimulatedCluster {
    package let options: ClusterOptions
    package private(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// By rank: node 1 is at 0.
    package let hosts: [SimulatedHost]
    var queue = EventQueue()
    var generator: SeededGenerator
    /// Every ordered pair of nodes has two.
    var links: [SimulatedLink] = []
    /// Ways that carry nothing at the moment.
    var cuts: Set<Way> = []
    var connections: [ClientLink] = []
    /// What the network does to frames at the moment.
    var disturbances: [(number: Int, disturbance: Disturbance)] = []
    var disturbanceCount = 0
    /// The keyspaces of tablets that were made while the cluster ran; the others are of the
    /// default one.
    package var keyspaces: [TabletID: KeyspaceID] = [:]
    /// Hears of every step.
    package var observer: (any ClusterObserver)?
    /// How many events have happened.
    package private(set) var eventCount = 0
    private var clientCount = 0
    /// What ``ask(_:_:at:within:)`` and the like send through.
    package private(set) lazy var client = makeClient()

    /// A cluster whose nodes are not started yet.
    package init(_ options: ClusterOptions) {
        self.options = options
        generator = SeededGenerator(seed: options.seed)
        hosts = (1...options.nodeCount + options.spareCount).map { number in
            SimulatedHost(
                id: NodeID(UInt32(number)), name: "n\(number)",
                disk: SimulatedDisk(seed: options.seed &* 31 &+ UInt64(number)),
                isJoining: number > options.nodeCount)
        }
        for from in hosts {
            for to in hosts where from.id != to.id {
                for stream in [PeerStream.consensus, .bulk] {
                    links.append(SimulatedLink(from: from, to: to, stream: stream))
                }
            }
        }
    }

    deinit {
        // Processes and their clients' links hold each other.
        for host in hosts { host.process?.clientLinks = [:] }
    }

    /// The groups that the founders make: the directory's and those of the data tablets.
    package var groupCount: Int { options.tabletCount + 1 }

    package func host(_ node: Int) -> SimulatedHost { hosts[node - 1] }

    /// The highest epoch of the nodes that run: what clients have heard of by now.
    package var epoch: Epoch { hosts.compactMap { $0.node?.identity.epoch }.max() ?? .first }

    /// The wall clock of clients, and of nodes whose clock is right.
    package var wallTime: WallTime {
        WallTime(milliseconds: 1_700_000_000_000 + now.nanoseconds / 1_000_000)
    }

    /// The wall clock of a node.
    func wallTime(of host: SimulatedHost) -> WallTime {
        let milliseconds = Int64(wallTime.milliseconds) + host.clock.wallOffset
        return WallTime(milliseconds: UInt64(milliseconds))
    }

    /// A client with a session of its own.
    package func makeClient() -> SimulatedClient {
        clientCount += 1
        return SimulatedClient(
            self, number: clientCount, id: ClientID(using: &generator))
    }

    /// What a node of this cluster is told at its start.
    package func configuration(of host: SimulatedHost) -> NodeConfiguration {
        let members = ClusterMember.ranked(
            hosts.prefix(options.nodeCount).map { ($0.name, "10.0.0.\($0.id):7501") })
        var configuration = NodeConfiguration(
            name: nodeName(of: host), members: host.isJoining ? [] : members)
        configuration.isJoining = host.isJoining
        configuration.address = "10.0.0.\(host.id):7501"
        configuration.tabletCount = options.tabletCount
        configuration.retention = options.retention
        configuration.store = options.store
        configuration.retainedLogBytes = options.retainedLogBytes
        configuration.blockCacheBytes = options.blockCacheBytes
        configuration.sessions = options.sessions
        host.adjust?(&configuration)
        return configuration
    }

    // MARK: Time

    /// Lets `span` of virtual time pass.
    package func run(for span: TimeSpan) {
        let end = now + span
        while let due = queue.nextDue, due <= end { step(to: due) }
        now = end
    }

    /// Lets virtual time pass until `condition` holds, which is looked at every `pace`, or after
    /// each event when that is zero.
    ///
    /// - Returns: whether it came to hold within `span`.
    package func run(
        within span: TimeSpan, every pace: TimeSpan = .zero, until condition: () -> Bool
    ) -> Bool {
        let end = now + span
        while !condition() {
            guard let due = queue.nextDue, due <= end else {
                now = end
                return condition()
            }
            let pauseEnd = min(end, due + pace)
            while let due = queue.nextDue, due <= pauseEnd {
                step(to: due)
                if pace == .zero { break }
            }
        }
        return true
    }

    private func step(to due: Instant) {
        now = max(now, due)
        eventCount += 1
        let task = queue.removeFirst()
        guard let owner = task.owner else { return task.action() }
        guard owner.host.process === owner else { return }
        if owner.host.isPaused {
            owner.host.backlog.append(task.action)
        } else {
            task.action()
        }
    }

    /// Enters an event of nobody's process.
    func schedule(after delay: TimeSpan, _ action: @escaping () -> Void) {
        queue.enter(at: now + delay, action)
    }

    /// Enters an event of a process: lost when the process ends before, kept back while it is
    /// paused.
    func schedule(
        at due: Instant, for process: SimulatedProcess, _ action: @escaping () -> Void
    ) {
        queue.enter(at: due, for: process, action)
    }

    func schedule(
        after delay: TimeSpan, for process: SimulatedProcess, _ action: @escaping () -> Void
    ) {
        schedule(at: now + delay, for: process, action)
    }

    /// A delay within `range`, evenly.
    func draw(_ range: ClosedRange<TimeSpan>) -> TimeSpan {
        let width = range.upperBound.nanoseconds - range.lowerBound.nanoseconds + 1
        return TimeSpan(nanoseconds: range.lowerBound.nanoseconds + generator.below(width))
    }
}

/// What a ``SimulatedCluster`` is made of.
package struct ClusterOptions: Sendable {
    package var seed: UInt64
    package var nodeCount = 3
    /// Machines besides, whose nodes may join.
    package var spareCount = 0
    package var tabletCount = 1
    package var retention = TimeSpan.seconds(60)
    package var retainedLogBytes = 32 << 20
    package var blockCacheBytes = 1 << 20
    package var store = StoreConfiguration()
    package var log = LogConfiguration()
    package var sessions = StateMachine.Configuration()
    /// Whether a node has its log's whole reserve on disk before it does anything (Rule L6).
    package var isLogReserved = false
    /// One way, of a frame.
    package var networkDelay = TimeSpan.microseconds(100)...TimeSpan.microseconds(900)
    /// Of a log write, its sync included.
    package var logDelay = TimeSpan.microseconds(200)...TimeSpan.milliseconds(3)
    /// Of a job's slice.
    package var jobDelay = TimeSpan.microseconds(100)...TimeSpan.milliseconds(2)

    /// A cluster of three with one tablet and a log of 1 MiB.
    package init(seed: UInt64) {
        self.seed = seed
        log.segmentBytes = 128 << 10
        log.segmentsReserved = 8
        log.batchBytesMax = 32 << 10
        log.batchRecordsMax = 128
        log.zeroingStepBytes = 32 << 10
        log.forwardingStepBytes = 16 << 10
    }
}
