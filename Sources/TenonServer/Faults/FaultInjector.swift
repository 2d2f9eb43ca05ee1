internal import NIOCore
import TenonCore
import TenonWire

/// The faults that a node was ordered to have: takes the orders, and ends them when their time
/// has come.
///
/// `@unchecked Sendable`: touched on the driver's event loop only; what other threads see are the
/// switches, which have locks of their own.
final class FaultInjector: @unchecked Sendable {
    /// What an order is about: one fault at a time is in force for each.
    private enum Matter: Hashable {
        case link(NodeID)
        case clients
        case disk
        case clock
    }

    private struct Ending {
        let number: UInt64
        let task: Scheduled<Void>?
    }

    /// How long frames to a node are on their way, besides all faults: what stands on one machine
    /// and is to be far apart.
    private let distances: [NodeID: UInt32]
    private let disk: DiskSwitches
    private let clock: FaultyClock<SystemClock>
    private var inForce: [Matter: Ending] = [:]
    private var linkFaults: [NodeID: LinkDisorder] = [:]
    private var ordersTaken: UInt64 = 0
    /// Told when a link's fault begins, changes or ends.
    var linksChanged: () -> Void = {}

    /// - Parameter distances: in milliseconds, one way.
    init(
        disk: DiskSwitches, clock: FaultyClock<SystemClock>, distances: [NodeID: UInt32] = [:]
    ) {
        self.distances = distances
        self.disk = disk
        self.clock = clock
    }

    /// Whether clients meet silence.
    var areClientsCut: Bool { inForce[.clients] != nil }

    var count: Int { inForce.count }

    /// What is wrong with the link to `node`, how far it is away included; what was said of it
    /// alone counts first.
    func fault(ofLinkTo node: NodeID) -> LinkDisorder? {
        let ordered = linkFaults[node] ?? linkFaults[NodeID(0)]
        guard let distance = distances[node] else { return ordered }
        var fault = ordered ?? LinkDisorder(peer: node)
        fault.delayMilliseconds += distance
        return fault
    }

    /// Brings a fault about, in place of an earlier one of the same matter.
    func take(_ order: FaultOrder, on loop: any EventLoop) {
        loop.preconditionInEventLoop()
        let matter = FaultInjector.matter(of: order.fault)
        inForce[matter]?.task?.cancel()
        ordersTaken += 1
        let number = ordersTaken
        let task =
            order.milliseconds == 0
            ? nil
            : loop.scheduleTask(in: .milliseconds(Int64(order.milliseconds))) {
                if self.inForce[matter]?.number == number { self.end(matter) }
            }
        inForce[matter] = Ending(number: number, task: task)
        begin(order.fault)
    }

    /// Ends all faults.
    func clear() {
        for (matter, ending) in inForce {
            ending.task?.cancel()
            end(matter)
        }
    }

    private static func matter(of fault: FaultOrder.Fault) -> Matter {
        switch fault {
        case .link(let link): .link(link.peer)
        case .clientsCut: .clients
        case .disk: .disk
        case .clock: .clock
        }
    }

    private func begin(_ fault: FaultOrder.Fault) {
        switch fault {
        case .link(let link):
            linkFaults[link.peer] = link
            linksChanged()
        case .clientsCut: break
        case .disk(let fault): disk.fault = fault
        case .clock(let fault): clock.fault = fault
        }
    }

    private func end(_ matter: Matter) {
        inForce[matter] = nil
        switch matter {
        case .link(let peer):
            linkFaults[peer] = nil
            linksChanged()
        case .clients: break
        case .disk: disk.fault = nil
        case .clock: clock.fault = nil
        }
    }
}
