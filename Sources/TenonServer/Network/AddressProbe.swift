internal import NIOCore
internal import NIOPosix

/// Asks whether anything is at an address, before what was there is declared lost.
package enum AddressProbe {
    private static let timeout = TimeAmount.seconds(1)

    /// Whether somebody takes connections at `address` within a second. A process that stands still
    /// counts: the kernel takes connections for it, and it may go on.
    package static func answers(at address: NetworkAddress) async -> Bool {
        do {
            let channel = try await ClientBootstrap(
                group: MultiThreadedEventLoopGroup.singleton
            ).connectTimeout(timeout).connect(host: address.host, port: address.port).get()
            channel.close(promise: nil)
            return true
        } catch {
            return false  // Refused, unreachable or silent: nobody there can be talked to.
        }
    }
}
