import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

/// `tenon drill inject`: one fault by hand.
struct DrillInject: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inject",
        abstract: "Make one node faulty by order: a link, its disk, its clock, its clients.",
        discussion: """
            The node must run with --enable-fault-injection (`tenon cluster start
            --enable-fault-injection` gives it to all). A fault ends after --for, by
            `tenon drill clear`, or with the process. A later order about the same link, disk or
            clock takes the place of the earlier one.

            EXAMPLE
              tenon drill inject link --node n1 --to n3 --cut
              tenon drill inject link --node n1 --for 30s --to all --delay 200ms --loss 50
              tenon drill inject disk --node n2 --hang
              tenon drill inject disk --node n2 --stall 100ms --log-only
              tenon drill inject clock --node n3 --shift=-1h
              tenon drill inject clients --node n1 --for 10s --cut
              tenon drill clear --node all
            """,
        subcommands: [InjectLink.self, InjectDisk.self, InjectClock.self, InjectClients.self])
}

/// Whom an order goes to, and for how long.
struct FaultOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions

    @Option(help: "The node that is to be faulty: its name in the directory, or `all`.")
    var node: String

    @Option(name: .customLong("for"), help: "The fault ends after this: 500ms, 30s, 5m.")
    var lasting: TimeOption?

    /// Sends the order that `fault` makes of the directory.
    func order(_ fault: (Directory) throws -> FaultOrder.Fault) async throws {
        try await connection.withClient { client in
            let directory = try await client.describe()
            let order = FaultOrder(
                try fault(directory), milliseconds: try lasting.milliseconds("--for"))
            for target in try nodes(in: directory) {
                try await client.injectFault(order, on: target.id)
                print("\(target.name) has it")
            }
        }
    }

    /// The nodes that `--node` means.
    func nodes(in directory: Directory) throws -> [Directory.Node] {
        node == "all" ? directory.nodes : [try directory.node(named: node)]
    }
}

extension Optional<TimeOption> {
    /// Whole milliseconds; 0 when nothing was given.
    func milliseconds(_ option: String) throws -> UInt32 {
        guard let self else { return 0 }
        let milliseconds = TimeSpan(self.duration).wholeMilliseconds
        guard let value = UInt32(exactly: milliseconds) else {
            throw InputError("\(option): longer than 49 days")
        }
        return value
    }
}

extension Directory {
    /// The node of this name.
    func node(named name: String) throws -> Node {
        guard let node = nodes.first(where: { $0.name == name }) else {
            let known = nodes.map(\.name).joined(separator: ", ")
            throw InputError("there is no node \(name): there are \(known)")
        }
        return node
    }
}

struct InjectLink: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "link",
        abstract: "What the node sends to a peer is late, slow or lost; not what it is sent.",
        discussion: """
            EXAMPLE
              tenon drill inject link --node n1 --to n3 --cut
              tenon drill inject link --node n1 --to all --delay 200ms --jitter 500ms --loss 50
            """)

    @OptionGroup var options: FaultOptions
    @Option(help: "The peer at the other end, or `all`.") var to: String
    @Option(help: "Everything arrives so much later, at most 60s.") var delay: TimeOption?
    @Option(help: "And by chance up to so much more; the order is kept.") var jitter: TimeOption?
    @Option(help: "Of a thousand frames so many are lost.") var loss: UInt16 = 0
    @Option(help: "At most so many bytes a second.") var bytesPerSecond: UInt64 = 0
    @Flag(help: "Nothing passes; nothing is reset.") var cut = false

    func validate() throws {
        guard loss <= 1_000 else { throw ValidationError("--loss \(loss): at most 1000") }
        guard cut || delay != nil || jitter != nil || loss > 0 || bytesPerSecond > 0 else {
            throw ValidationError("give --cut, --delay, --jitter, --loss or --bytes-per-second")
        }
    }

    func run() async throws {
        try await options.order { directory in
            var fault = LinkDisorder(
                peer: to == "all" ? NodeID(0) : try directory.node(named: to).id)
            fault.delayMilliseconds = try bounded(delay, "--delay")
            fault.jitterMilliseconds = try bounded(jitter, "--jitter")
            fault.lossPerMille = loss
            fault.bytesPerSecond = bytesPerSecond
            fault.isCut = cut
            return .link(fault)
        }
    }

    private func bounded(_ time: TimeOption?, _ option: String) throws -> UInt32 {
        let milliseconds = try time.milliseconds(option)
        guard milliseconds <= LinkDisorder.millisecondsMax else {
            throw InputError("\(option): at most \(LinkDisorder.millisecondsMax) ms")
        }
        return milliseconds
    }
}

struct InjectDisk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disk",
        abstract: "The node's disk stalls, hangs, fails once, or is full.",
        discussion: """
            EXAMPLE
              tenon drill inject disk --node n2 --stall 100ms
              tenon drill inject disk --node n2 --for 20s --fill
            """)

    @OptionGroup var options: FaultOptions
    @Option(help: "Every sync takes so much longer, at most 60s.") var stall: TimeOption?
    @Flag(help: "No write and no sync ends.") var hang = false
    @Flag(help: "The next write or sync fails with EIO; a log's ends the process (Rule L6).")
    var fail = false
    @Flag(help: "Nothing can grow: ENOSPC.") var fill = false
    @Flag(help: "The log alone, not the tables.") var logOnly = false

    func validate() throws {
        let count = (stall == nil ? 0 : 1) + [hang, fail, fill].count { $0 }
        guard count == 1 else {
            throw ValidationError("give one of --stall, --hang, --fail, --fill")
        }
    }

    func run() async throws {
        let kind: DiskDisorder.Kind
        if stall != nil {
            let milliseconds = try stall.milliseconds("--stall")
            guard milliseconds <= DiskDisorder.stallMillisecondsMax else {
                throw ValidationError("--stall: at most 60s; longer is --hang")
            }
            kind = .stall(milliseconds: milliseconds)
        } else {
            kind = hang ? .hang : fail ? .fail : .fill
        }
        try await options.order { _ in .disk(DiskDisorder(kind, isLogOnly: logOnly)) }
    }
}

struct InjectClock: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clock",
        abstract: "The node's wall clock is wrong; its monotonic clock stays right.",
        discussion: """
            EXAMPLE
              tenon drill inject clock --node n3 --shift=-1h
              tenon drill inject clock --node n1 --shift 10s --drift 500
            """)

    @OptionGroup var options: FaultOptions
    @Option(help: "So far ahead; with `-` in front, behind: 10s, -1h.") var shift = "0"
    @Option(help: "And so many microseconds faster a second; negative: slower.") var drift: Int32 =
        0

    func run() async throws {
        guard let shiftMilliseconds = InjectClock.milliseconds(shift),
            abs(drift) <= ClockDisorder.driftPartsPerMillionMax
        else { throw ValidationError("--shift 10s or -1h, --drift at most 100000") }
        try await options.order { _ in
            .clock(
                ClockDisorder(shiftMilliseconds: shiftMilliseconds, driftPartsPerMillion: drift))
        }
    }

    /// `10s`, `-1h`, `0`; nil for what is no length of time, or longer than a clock can be wrong.
    static func milliseconds(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        let isBehind = text.hasPrefix("-")
        guard let time = TimeOption(argument: isBehind ? String(text.dropFirst()) : text) else {
            return nil
        }
        let magnitude = Int64(clamping: TimeSpan(time.duration).wholeMilliseconds)
        guard magnitude <= ClockDisorder.shiftMillisecondsMax else { return nil }
        return isBehind ? -magnitude : magnitude
    }
}

struct InjectClients: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clients",
        abstract: "The node does not answer clients any more, as if it were cut off from them.",
        discussion: """
            EXAMPLE
              tenon drill inject clients --node n1 --for 10s --cut
            """)

    @OptionGroup var options: FaultOptions
    @Flag(help: "Requests are swallowed.") var cut = false

    func validate() throws {
        guard cut else { throw ValidationError("give --cut: there is no other fault yet") }
    }

    func run() async throws { try await options.order { _ in .clientsCut } }
}

/// `tenon drill clear`: no more faults.
struct DrillClear: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear",
        abstract: "End all faults that a node was ordered to have.",
        discussion: """
            EXAMPLE
              tenon drill clear --node all
            """)

    @OptionGroup var connection: ConnectionOptions
    @Option(help: "The node's name, or `all`.") var node = "all"

    func run() async throws {
        try await connection.withClient { client in
            let directory = try await client.describe()
            let targets =
                node == "all" ? directory.nodes : [try directory.node(named: node)]
            for target in targets {
                try await client.clearFaults(on: target.id)
                print("\(target.name) has no faults")
            }
        }
    }
}
