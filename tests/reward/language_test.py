# SPDX-License-Identifier: Apache-2.0
"""The language verdict, by hand."""

import pytest

from srpo_jax.reward.extract import Tags
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
    # Words of one character, and words with vowel signs and joiners.
    ('We add 둘 and three.', 1),
    ('둘과 셋을 더하면 다섯이므로 답은 5 입니다.', 0),
    ('둘과 셋을 더하면 therefore 다섯입니다.', 1),
    ('हम दो और तीन को जोड़ते हैं, इसलिए उत्तर 5 है।', 0),
    ('हम दो और तीन को जोड़ते हैं, therefore उत्तर 5 है।', 1),
    ('We जोड़ते two', 1),
    ('نجمع اثنين وثلاثة فنحصل على خمسة', 0),
    ('نجمع اثنين وثلاثة because خمسة', 1),
    ('می\u200cخواهیم جمع کنیم', 0),
    ('เราบวกสองกับสาม', 0),
    ('Cafe\u0301 de\u0301ja\u0300 vu', 0),
    ('اثنين 二', 1),
    # Greek letters are symbols until they are words.
    ('the product αβγ and ΔΕΖ, the angle θ', 0),
    ('the product αβ is και', 0),
    ('the word λόγος', 1),
    ('the word ένα', 1),
    ('Λόγος και μέτρο, η γωνία είναι x', 0),
    ('The group Ш and the number ℵ or א', 0),
    # Emoji and signs are in no language.
    ('Great 🎉👍 we add ① and ② to get ⑤ ✓', 0),
    ('太好了 🎉 我们得到五 ✅', 0),
    ('𝐀𝐁 and ＡＢＣ and ℝ', 0),
    # Identifiers, addresses and functions.
    ('用 my_value 和 np.array 以及 isPrime 和 print(5) 得到五', 0),
    ('见 https://example.com/therefore 得五', 0),
    ('用 arcsin 和 sqrt 得到五', 0),
    ('用 value 得到五', 1),
    ('ｶﾀｶﾅ と漢字', 0),
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
  for piece in ('\\(', '\\[', '$', '```', '`', '两\\(', 'a', 'aB', 'a_', 'a.'):
    mixes_languages('两' + piece * 100_000)


@pytest.mark.parametrize('names', [('Réflexion', 'ответ'), ('a-b', 'x_1')])
def test_odd_tags_are_no_words(names):
  tags = Tags(*names)
  response = '<{0}>五</{0}><{1}>二</{1}>'.format(*names)
  assert mixes_languages(response, tags=tags) == 0
  assert mixes_languages(response.replace('>', '> '), tags=tags) == 0


@pytest.mark.parametrize(
  ('question', 'response', 'expected'),
  [
    ('二加三等于几？', 'The answer is five.', 1),
    ('二加三等于几？', '答案是 $5$。', 0),
    ('Сколько будет два плюс три?', 'Ответ: пять.', 0),
    ('Сколько будет два плюс три?', '答案是五', 1),
    ('둘 더하기 셋은?', '다섯입니다.', 0),
    ('How much is two plus three?', 'Five 👍', 0),
    ('दो और तीन कितने होते हैं?', 'पाँच', 0),
    ('दो और तीन कितने होते हैं?', 'five', 1),
  ],
)
def test_questions_in_many_languages(question, response, expected):
  assert mixes_languages(response, question) == expected
