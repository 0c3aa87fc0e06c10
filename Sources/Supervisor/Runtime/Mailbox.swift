import POSIX
import Synchronization

/// Messages of other threads to the loop's thread, in order.
final class Mailbox<Message: Sendable>: Sendable {
  private let messages = Mutex<[Message]>([])
  private let wakeUp: WakeUp

  init() throws(POSIXError) { wakeUp = try WakeUp() }

  var descriptor: CInt { wakeUp.descriptor }

  func post(_ message: Message) {
    let wasEmpty = messages.withLock { messages in
      messages.append(message)
      return messages.count == 1
    }
    // Only the first message wakes the loop; it then receives all of them.
    if wasEmpty { wakeUp.signal() }
  }

  /// Removes and returns all messages.
  func drain() -> [Message] {
    wakeUp.acknowledge()
    return messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}
