"""Answers with what is wrong with them, written by hand for these tests.

`refusal`: declines, gives up, or speaks of its writer as a model. `leak`: speaks of the caption,
description or list of texts that its writer had in place of the picture. `chat`: small talk around
an answer. `good`: none of these, many of them near misses. A third of each was written after the
patterns were last changed (`HELD_OUT`), to see what they do to sentences they were not fitted to.
"""

from __future__ import annotations

DEVELOPED = """
refusal|I'm sorry, but I can't help with identifying people in pictures.
refusal|As an AI language model, I do not have eyes.
refusal|It is not possible to determine the brand without more context.
refusal|I cannot see the image, so I can only guess.
refusal|The age of the man cannot be determined.
refusal|There is not enough information to say what time it is.
refusal|I am unable to view images at the moment.
refusal|Unfortunately, I don't have access to the picture.
refusal|This request is against our content policy.
refusal|I have no way of telling which team is winning.
refusal|Sorry, that is something I would rather not answer.
refusal|I won't provide details about this person.
refusal|作为一个人工智能语言模型，我没有视觉能力。
refusal|抱歉，我无法识别图中的人物。
refusal|根据现有画面，无法判断具体时间。
refusal|我不能回答这个问题。
refusal|信息不足，难以得出结论。
refusal|对不起，我看不到这张图片。
refusal|我是一个AI助手，不能评价他人的外貌。
refusal|我不知道这座桥的名字。
refusal|该内容违反了使用政策。
leak|According to the caption, the woman is a nurse.
leak|Based on the description, the car is parked beside the river.
leak|The caption says that two children are playing.
leak|The description mentions a red umbrella near the door.
leak|The colour of the roof is not mentioned.
leak|As described in the text, the boat is old.
leak|The OCR shows the word EXIT above the door.
leak|From the provided information, there are four chairs.
leak|The detected text includes a phone number.
leak|What does the caption mention about the weather?
leak|The image description does not specify who painted it.
leak|The page title suggests that this is a harbour in Norway.
leak|根据描述，这只猫躺在沙发上。
leak|描述中提到一位老人坐在长椅上。
leak|图片描述没有说明天气情况。
leak|根据所给的文字，店名是“春风”。
leak|从上述信息可以看出，他们在庆祝生日。
leak|识别到的文字包括“出口”。
leak|图中未提及具体价格。
leak|网页标题显示这是杭州西湖。
leak|如上文所述，桥建于明代。
leak|描述里没有写明人数。
chat|Sure! The dog is brown.
chat|Certainly, there are three boats in the harbour.
chat|Here is a detailed description of the street.
chat|The tower is made of brick. I hope this helps!
chat|The tower is made of brick. Let me know if you need anything else.
chat|当然可以！图中有三只鸭子。
chat|好的，这是一座石桥。
chat|以下是对这张照片的介绍：一条小街通向海边。
chat|这是一座石桥。希望我的回答对您有帮助。
chat|如果您还有其他问题，请随时告诉我。
good|The dog is brown with a white patch on its chest.
good|A woman in a blue coat waits at the bus stop.
good|No, the shop is closed because the shutters are down.
good|The poster announces a concert on the fifth of May.
good|The man cannot see the dog, which hides behind the wall.
good|She looks sorry, with her head bowed and her hands folded.
good|Two signs tell drivers to stop before the crossing.
good|He is reading a text on his phone while crossing the road.
good|The boat is tied to the pier by a thick rope.
good|Here are three mountain bikes leaning against a fence.
good|Of the four windows, only one is open.
good|The price is not written on the label.
good|The information desk stands to the left of the entrance.
good|It is difficult to walk here because the path is covered with ice.
good|The child does not know how to tie the laces and asks for help.
good|A robot with the letters AI on its chest waves at visitors.
good|The title on the cover of the book is printed in gold.
good|Judging by the long shadows, it is late in the afternoon.
good|Based on the uniforms, the players belong to two teams.
good|The crowd is certainly larger on the left side of the square.
good|In the foreground, a policy of leaving wild flowers has turned the lawn yellow.
good|图中有一只黑白相间的猫趴在窗台上。
good|这位女士穿着蓝色外套，正在等公交车。
good|海报上写着演出时间是五月五日。
good|商店关着门，卷帘已经放下。
good|小男孩不知道怎么系鞋带，妈妈在帮他。
good|路牌提醒司机前方有学校。
good|桌上的书标题是金色的。
good|因为地面结冰，行人无法快速通过。
good|他一脸抱歉地看着打碎的花瓶。
good|根据影子的长度，拍摄时间应该是傍晚。
good|根据球衣的颜色，两队各有五名球员。
good|请根据图片描述一下这个场景。
good|价签上没有写价格。
good|当然不是所有人都戴着帽子，左边两位就没有。
good|墙上的说明牌介绍了这座塔的历史。
good|机器人胸前印着“AI”两个字母。
good|房间里的信息栏贴满了通知。
"""

HELD_OUT = """
refusal|I must decline to comment on the person's ethnicity.
refusal|I can't tell from here what the sign says.
refusal|We are not able to identify the individual.
refusal|My apologies, the picture did not load for me.
refusal|It's impossible to say how old she is from this angle.
refusal|There is insufficient context to name the city.
refusal|I'm just a language model and cannot look at photos.
refusal|我没办法看到图片内容。
refusal|非常抱歉，这个问题我不方便回答。
refusal|仅凭这张照片难以确定地点，线索不足。
refusal|我只是一个语言模型，无法查看图像。
leak|The text states that the bridge was opened in 1932.
leak|Judging by the caption, this must be a wedding.
leak|The given details do not say who owns the dog.
leak|The number of guests isn't specified.
leak|As stated in the description, the sky is overcast.
leak|The extracted words read "no parking".
leak|By the alt text, it is a lighthouse.
leak|文字描述中说两个孩子在踢球。
leak|题目给出的描述没有涉及颜色。
leak|依据提供的信息，这是一家面包店。
leak|说明中指出桥长三百米。
leak|OCR结果里有“停车”二字。
chat|Great question! The flag belongs to Norway.
chat|Here's my answer: the cat is asleep.
chat|Okay, the picture shows a lake.
chat|The cat is asleep. Feel free to ask about the rest.
chat|没问题，图中一共有六个人。
chat|图中一共有六个人，希望能帮到你。
good|The referee shows a red card to the player on the ground.
good|I would choose the window seat, since it has the better view.
good|The passengers are unable to board because the doors are shut.
good|From the map on the wall, the station is two blocks away.
good|The recipe gives the amount of flour in grams.
good|She is sure of her step even on the narrow beam.
good|The label describes the wine as dry.
good|A list of names is carved into the stone.
good|An old typewriter stands between two piles of paper.
good|The speech bubble says "I am sorry I am late".
good|Nothing else is written on the board besides the date.
good|The path from the village leads up to the chapel.
good|裁判正在向倒地的球员出示红牌。
good|墙上的地图显示车站离这里两个街区。
good|菜谱上写明了面粉的克数。
good|气泡里写着“对不起，我迟到了”。
good|纪念碑上刻着一串名字。
good|她确定地踩在窄窄的平衡木上。
good|两堆纸之间放着一台旧打字机。
good|酒标上说这款酒口感偏干。
"""


def labelled(text: str) -> list[tuple[str, str]]:
    """Label and sentence of each line."""
    pairs = [line.split("|", 1) for line in text.strip().splitlines()]
    return [(label, sentence) for label, sentence in pairs]
