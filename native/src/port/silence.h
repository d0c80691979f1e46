#pragma once

namespace sluice {

/// Puts a socket that never becomes readable in the place of what a descriptor stands for, which is closed if nothing
/// else holds it: in one step, since workers may be using the descriptor or waiting for it.
void silence(int descriptor);

}  // namespace sluice
