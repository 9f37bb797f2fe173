"""Forward-mode differentiation, whose first use makes torch call what torch has deprecated."""

import pytest

uses_forward_mode = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
