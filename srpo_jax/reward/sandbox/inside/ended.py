# SPDX-License-Identifier: Apache-2.0
"""How a submission came to its end before it had answered."""


class Ended(BaseException):
  """The guest is dead or over a limit; carries the status of the item.

  A BaseException, so that a test's own `except Exception` lets it pass.
  """

  def __init__(self, status: str, detail: str):
    super().__init__(f'{status}: {detail}')
    self.status = status
    self.detail = detail
