# SPDX-License-Identifier: Apache-2.0
"""The language verdict, by hand."""

import pytest

from srpo_jax.reward.language import mixes_languages


@pytest.mark.parametrize(
  ('response', 'expected'),
  [
    ('We add two and three.', 0),
    ('Señor Müller, naïve café', 0),
    ('We add 两 and three.', 1),
    ('We сложим two and three.', 1),
    ('Let α and π be angles, Δx small, ∑ and ≤ are signs, 𝑥 too', 0),
    ('the word λόγος is Greek', 1),
    ('我们把二和三相加，得到五。', 0),
    ('我们把 x 和 sin 相加，三角形 ABC 的面积是 5 cm。', 0),
    ('我们把二和三相加，therefore 得到五。', 1),
    ('答えは５です。カタカナと漢字とひらがな', 0),
    ('Ответ равен x плюс пять', 0),
    ('Ответ равен пяти, because', 1),
    # Code and LaTeX are in no language, nor are the tags.
    ('所以 <think>二</think><answer>五</answer>', 0),
    ('代码如下 ```python\nprint(value)\n``` 结束', 0),
    ('代码 `print` 结束', 0),
    ('代码没有写完 ```python\nprint(value)', 0),
    ('公式 $\\text{area} = \\frac{base}{2}$ 结束', 0),
    ('公式 \\(alpha\\) 和 \\[beta\\] 还有 \\boxed{五} 结束', 0),
    ('This is $\\text{面积}$ in LaTeX', 0),
    ('', 0),
    ('12 + 3 = 15', 0),
  ],
)
def test_mixes_languages(response, expected):
  assert mixes_languages(response) == expected


def test_question_decides_the_home_script():
  chinese = '我们把二和三相加，得到五。'
  assert mixes_languages(chinese, 'What is two plus three?') == 1
  assert mixes_languages('We add two and three.', '二加三等于几？') == 1
  assert mixes_languages(chinese, '二加三等于几？') == 0
  # A question of numbers alone has no script.
  assert mixes_languages(chinese, '2+3') == 0


def test_is_linear_in_degenerate_text():
  # A loop that a policy falls into; quadratic code would not come back.
  for piece in ('\\(', '\\[', '$', '```', '`', '两\\('):
    mixes_languages('两' + piece * 100_000)
